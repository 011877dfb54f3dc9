import { argon2id, hash, verify } from 'argon2'
import type { Postgres } from '../../infra/postgres.ts'
import type { OrganizationsService } from '../organizations/index.ts'
import { wrongCredentials } from './errors.ts'
import { findUser, findUserByEmail } from './store.ts'
import type { Tokens } from './tokens.ts'

export type IdentityService = ReturnType<typeof createIdentityService>

interface Dependencies {
  postgres: Postgres
  organizations: OrganizationsService
  tokens: Tokens
}

/** OWASP's floor for argon2id: 19 MiB, two passes, one lane. */
const HASH_OPTIONS = { type: argon2id, memoryCost: 19_456, timeCost: 2, parallelism: 1 } as const

export const hashPassword = (password: string): Promise<string> => hash(password.normalize('NFC'), HASH_OPTIONS)

export function createIdentityService({ postgres, organizations, tokens }: Dependencies) {
  // Unknown addresses are checked against a hash too, so that both answers take the same time.
  const decoy = hashPassword('no user has this password')

  return {
    /** Exchanges email and password for an access token. Unknown addresses and wrong passwords get the same answer. */
    async login(email: string, password: string) {
      const user = await postgres.withSystem((tx) => findUserByEmail(tx, email))
      const matches = await verify(user?.passwordHash ?? (await decoy), password.normalize('NFC'))
      if (!user || !matches) throw wrongCredentials('There is no account with this email and password.')
      return tokens.issueSession(user.id)
    },

    /** The signed-in person, or undefined when the account is gone. */
    async me(userId: string) {
      const user = await postgres.withSystem((tx) => findUser(tx, userId))
      return user && { ...user, memberships: await organizations.membershipsOf(userId) }
    },
  }
}
