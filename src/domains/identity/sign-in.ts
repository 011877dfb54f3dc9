import type { SystemTx } from '../../infra/postgres.ts'
import type { Device } from './device.ts'
import type { Challenge } from './second-factor/challenges.ts'
import type { Grant } from './tokens.ts'

/** What every kind of sign-in ends with: a session, or a challenge where the person has a second factor. */
export type SignIn = Grant | Challenge

/** Signs a person in who has proved who they are, in one transaction with the check that it still holds, or asks for the second factor. */
export type CompleteSignIn = (
  userId: string,
  device: Device,
  before: (tx: SystemTx) => Promise<void>,
) => Promise<SignIn>
