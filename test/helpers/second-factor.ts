import { eq } from 'drizzle-orm'
import type { FastifyInstance } from 'fastify'
import { Secret, TOTP } from 'otpauth'
import { secondFactors } from '../../src/domains/identity/tables.ts'
import { newAddress, post } from './accounts.ts'
import { authorized } from './app.ts'
import { sessionOf } from './principals.ts'

interface Person {
  userId: string
  email: string
  password: string
}

/** What an authenticator shows, or will show after so many steps. */
export const codeOf = (secret: string, steps = 0): string =>
  TOTP.generate({ secret: Secret.fromBase32(secret), timestamp: Date.now() + steps * 30_000 })

/** Six digits that are none of the codes of this minute. */
export function wrongCodeOf(secret: string): string {
  const good = [-2, -1, 0, 1, 2].map((steps) => codeOf(secret, steps))
  return ['000000', '111111', '222222', '333333', '444444', '555555'].find((code) => !good.includes(code)) ?? ''
}

/** Begins an enrolment, as an access token and a password allow it. */
export async function enroll(app: FastifyInstance, { userId, password }: Person) {
  const request = { payload: { password }, remoteAddress: newAddress() }
  const answer = await post(app, '/v1/me/second-factor', authorized(sessionOf(app, userId), request))
  return answer.json() as { secret: string; otpauthUri: string; qrCode: string }
}

/** Gives a person a second factor; every code of now counts afterwards. */
export async function addSecondFactor(app: FastifyInstance, person: Person) {
  const { secret } = await enroll(app, person)
  const request = { payload: { code: codeOf(secret) }, remoteAddress: newAddress() }
  const answer = await post(app, '/v1/me/second-factor/confirm', authorized(sessionOf(app, person.userId), request))
  if (answer.statusCode !== 200) throw new Error(answer.body)
  await forgetSteps(app, person)
  return { secret, recoveryCodes: answer.json().recoveryCodes as string[] }
}

/** Has every code of now count again, so that a test need not wait for the next. */
export const forgetSteps = (app: FastifyInstance, { userId }: Pick<Person, 'userId'>) =>
  app.postgres.withSystem((tx) => tx.update(secondFactors).set({ lastStep: 0 }).where(eq(secondFactors.userId, userId)))

/** Signs in with the password and gives what is asked for then. */
export async function challengeOf(app: FastifyInstance, { email, password }: Person, remoteAddress: string) {
  const answer = await post(app, '/v1/auth/login', { payload: { email, password }, remoteAddress })
  return answer.json().challenge as string
}
