import { Secret, TOTP } from 'otpauth'

const PERIOD_S = 30

/** The time step of a code that is good now, one step early or late; undefined for any other. */
export function stepOf(secret: string, code: string, nowMs: number = Date.now()): number | undefined {
  const delta = TOTP.validate({ token: code, secret: Secret.fromBase32(secret), timestamp: nowMs, window: 1 })
  return delta === null ? undefined : TOTP.counter({ period: PERIOD_S, timestamp: nowMs }) + delta
}

/** A new secret of 160 bits, which is what HMAC-SHA-1 takes, and the address that authenticators read. */
export function newAuthenticator(email: string) {
  const secret = new Secret({ size: 20 })
  const totp = new TOTP({ issuer: 'Meterhouse', label: email, secret, period: PERIOD_S })
  return { secret: secret.base32, otpauthUri: totp.toString() }
}
