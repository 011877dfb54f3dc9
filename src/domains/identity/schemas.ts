import { type Static, Type } from '@sinclair/typebox'
import { CursorQuery, Email, LimitQuery, PlainName } from '../../http/schemas.ts'

/** Length is what makes a password good, once it is none that everybody tries; rules about its characters only make it hard to remember. */
const NewPassword = Type.String({
  minLength: 12,
  maxLength: 128,
  description: '12 to 128 characters, any of them; not a password that is known from leaks, nor your name or address.',
})

export const Credentials = Type.Object(
  {
    email: Email,
    password: Type.String({ minLength: 1, maxLength: 128 }),
  },
  { additionalProperties: false },
)

const MailedToken = Type.String({ pattern: '^[\\w-]{43}$', description: 'What the mailed link has after `#token=`.' })

export const Registration = Type.Object(
  {
    email: Email,
    password: NewPassword,
    name: PlainName('What the person is called.', 'Ada'),
    organizationName: Type.Optional(PlainName('An organization to make and to own.', 'Acme')),
  },
  { additionalProperties: false },
)
export type Registration = Static<typeof Registration>

export const EmailVerification = Type.Object({ token: MailedToken }, { additionalProperties: false })
export const ForgottenPassword = Type.Object({ email: Email }, { additionalProperties: false })
export const PasswordReset = Type.Object({ token: MailedToken, password: NewPassword }, { additionalProperties: false })

export const CheckYourMail = Type.Object(
  { status: Type.Literal('check_your_mail') },
  { description: 'The rest is in the mail.', examples: [{ status: 'check_your_mail' }] },
)

export const CHECK_YOUR_MAIL = { status: 'check_your_mail' } as const

export const OwnPassword = Type.Object(
  { password: Type.String({ minLength: 1, maxLength: 128, description: 'The password of the account.' }) },
  { additionalProperties: false },
)

export const PasswordChange = Type.Object(
  { currentPassword: Type.String({ minLength: 1, maxLength: 128 }), newPassword: NewPassword },
  { additionalProperties: false },
)

export const AccessToken = Type.Object(
  {
    accessToken: Type.String({ description: 'JWT for `Authorization: Bearer`.' }),
    expiresAt: Type.String({ format: 'date-time' }),
  },
  {
    description: 'A new access token.',
    examples: [{ accessToken: 'eyJhbGciOiJIUzI1NiJ9.e30.c2ln', expiresAt: '2026-01-31T12:15:00.000Z' }],
  },
)

export const Me = Type.Object(
  {
    id: Type.String(),
    email: Type.String(),
    name: Type.String(),
    secondFactor: Type.Boolean({ description: 'Whether signing in asks for a code.' }),
    memberships: Type.Array(Type.Object({ organizationId: Type.String(), name: Type.String(), role: Type.String() })),
  },
  {
    description: 'The person and where they belong.',
    examples: [
      {
        id: 'usr_01jd7z3k9qf8v0m4c2t6n5w1xy',
        email: 'ada@example.com',
        name: 'Ada',
        secondFactor: true,
        memberships: [{ organizationId: 'org_01jd7z3k9qf8v0m4c2t6n5w1xy', name: 'Acme', role: 'owner' }],
      },
    ],
  },
)

export const Session = Type.Object({
  id: Type.String(),
  current: Type.Boolean({ description: 'Whether it is the session of this request.' }),
  device: Type.Union([Type.String(), Type.Null()], { description: 'Browser and system, as far as it says.' }),
  ip: Type.Union([Type.String(), Type.Null()], { description: 'The address that signed in.' }),
  createdAt: Type.String({ format: 'date-time' }),
  lastSeenAt: Type.String({ format: 'date-time', description: 'When it last got an access token.' }),
  expiresAt: Type.String({ format: 'date-time', description: 'When it ends at the latest.' }),
})
export type Session = Static<typeof Session>

export const SessionPage = Type.Object(
  { data: Type.Array(Session), nextCursor: Type.Union([Type.String(), Type.Null()]) },
  {
    description: 'The sessions that go on, oldest first.',
    examples: [
      {
        data: [
          {
            id: 'ses_01jd7z3k9qf8v0m4c2t6n5w1xy',
            current: true,
            device: 'Firefox on Linux',
            ip: '203.0.113.7',
            createdAt: '2026-01-31T12:00:00.000Z',
            lastSeenAt: '2026-02-01T09:30:00.000Z',
            expiresAt: '2026-03-02T12:00:00.000Z',
          },
        ],
        nextCursor: null,
      },
    ],
  },
)

export const SessionQuery = Type.Object(
  { limit: LimitQuery, cursor: Type.Optional(CursorQuery) },
  { additionalProperties: false },
)

export const SessionParams = Type.Object({
  sessionId: Type.String({
    pattern: '^ses_[0-9a-z]{26}$',
    description: 'Id of the session.',
    examples: ['ses_01jd7z3k9qf8v0m4c2t6n5w1xy'],
  }),
})

export const ProviderParams = Type.Object({
  providerId: Type.String({
    pattern: '^[a-z][a-z0-9-]{0,30}$',
    description: 'Id of the provider.',
    examples: ['google'],
  }),
})

export const StartQuery = Type.Object(
  {
    returnTo: Type.Optional(
      Type.String({
        maxLength: 1000,
        pattern: '^/(?![/\\\\])[\\x21-\\x5b\\x5d-\\x7e]*$',
        description: 'A path of this server to go to afterwards.',
        examples: ['/account/signed-in'],
      }),
    ),
  },
  { additionalProperties: false },
)

/** Providers add what they like to the URL, so that everything else passes; the library checks what means something. */
export const ProviderAnswer = Type.Object({
  state: Type.String({ minLength: 1, maxLength: 200, description: 'What the sign-in began with.' }),
})

export const ProviderList = Type.Object(
  { data: Type.Array(Type.Object({ id: Type.String(), name: Type.String() })) },
  { description: 'The providers.', examples: [{ data: [{ id: 'google', name: 'Google' }] }] },
)

export const IdentityParams = Type.Object({
  identityId: Type.String({
    pattern: '^idn_[0-9a-z]{26}$',
    description: 'Id of the identity.',
    examples: ['idn_01jd7z3k9qf8v0m4c2t6n5w1xy'],
  }),
})

export const LinkedIdentity = Type.Object({
  id: Type.String(),
  provider: Type.Object({
    id: Type.String(),
    name: Type.Union([Type.String(), Type.Null()], { description: 'Null when the provider is no longer offered.' }),
  }),
  email: Type.String({ description: 'The address that it confirmed when it was linked.' }),
  createdAt: Type.String({ format: 'date-time' }),
})
export type LinkedIdentity = Static<typeof LinkedIdentity>

export const LinkedIdentities = Type.Object(
  { data: Type.Array(LinkedIdentity) },
  {
    description: 'The identities, oldest first; one of each provider at most.',
    examples: [
      {
        data: [
          {
            id: 'idn_01jd7z3k9qf8v0m4c2t6n5w1xy',
            provider: { id: 'google', name: 'Google' },
            email: 'ada@example.com',
            createdAt: '2026-01-31T12:00:00.000Z',
          },
        ],
      },
    ],
  },
)
