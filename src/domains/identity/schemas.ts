import { Type } from '@sinclair/typebox'

export const Credentials = Type.Object(
  {
    email: Type.String({ format: 'email', maxLength: 254, examples: ['ada@example.com'] }),
    password: Type.String({ minLength: 1, maxLength: 128 }),
  },
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
    memberships: Type.Array(Type.Object({ organizationId: Type.String(), name: Type.String(), role: Type.String() })),
  },
  {
    description: 'The person and where they belong.',
    examples: [
      {
        id: 'usr_01jd7z3k9qf8v0m4c2t6n5w1xy',
        email: 'ada@example.com',
        name: 'Ada',
        memberships: [{ organizationId: 'org_01jd7z3k9qf8v0m4c2t6n5w1xy', name: 'Acme', role: 'owner' }],
      },
    ],
  },
)
