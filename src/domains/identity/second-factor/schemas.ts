import { type Static, Type } from '@sinclair/typebox'

const Password = Type.String({ minLength: 1, maxLength: 128 })
const Code = Type.String({ pattern: '^\\d{6}$', description: 'Six digits of the authenticator.' })
const closed = { additionalProperties: false }

export const Enrollment = Type.Object({ password: Password }, closed)
export const Confirmation = Type.Object({ code: Code }, closed)
export const OwnerProof = Type.Object({ password: Password, code: Code }, closed)
export type OwnerProof = Static<typeof OwnerProof>

const Token = Type.String({ pattern: '^[\\w-]{43}$', description: 'What the sign-in answered.' })
const RecoveryCode = Type.String({ minLength: 16, maxLength: 19, description: 'In the place of a code, once.' })
export const ChallengeAnswer = Type.Union([
  Type.Object({ challenge: Token, code: Code }, closed),
  Type.Object({ challenge: Token, recoveryCode: RecoveryCode }, closed),
])

export const Enrolled = Type.Object(
  { secret: Type.String(), otpauthUri: Type.String(), qrCode: Type.String({ description: 'SVG.' }) },
  {
    description: 'What the authenticator has to know. Shown once.',
    examples: [{ secret: 'JBSWY3DPEHPK3PXP', otpauthUri: 'otpauth://totp/Meterhouse:ada', qrCode: '<svg/>' }],
  },
)
export const RecoveryCodes = Type.Object(
  { recoveryCodes: Type.Array(Type.String()) },
  { description: 'Ten codes. Shown once.', examples: [{ recoveryCodes: ['7q2k-0m9x-c4ta-w8ez'] }] },
)
export const Challenge = Type.Object(
  {
    secondFactor: Type.Literal('required'),
    challenge: Type.String(),
    expiresAt: Type.String({ format: 'date-time' }),
  },
  {
    description: 'Who it is has been shown; a code is still owed.',
    examples: [
      {
        secondFactor: 'required',
        challenge: 'q1bX0Yt7mJ2cV5nR8kL3wZ6pD9sF4hG1aE0uT7yI2oQ',
        expiresAt: '2026-01-31T12:05:00.000Z',
      },
    ],
  },
)
