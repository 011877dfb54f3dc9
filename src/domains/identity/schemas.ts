import { Type } from '@sinclair/typebox'

export const Credentials = Type.Object(
  {
    email: Type.String({ format: 'email', maxLength: 254, examples: ['ada@example.com'] }),
    password: Type.String({ minLength: 1, maxLength: 128 }),
  },
  { additionalProperties: false },
)

export const AccessToken = Type.Object({
  accessToken: Type.String({ description: 'JWT for `Authorization: Bearer`.' }),
  expiresAt: Type.String({ format: 'date-time' }),
})

export const Me = Type.Object({
  id: Type.String(),
  email: Type.String(),
  name: Type.String(),
  memberships: Type.Array(Type.Object({ organizationId: Type.String(), name: Type.String(), role: Type.String() })),
})
