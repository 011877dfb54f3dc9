import { type Static, Type } from '@sinclair/typebox'
import { IP_POLICIES, KEY_SCOPES } from '../../http/access.ts'
import { LimitQuery, PlainName, ProjectParams } from '../../http/schemas.ts'

const KeyId = Type.String({ pattern: '^key_[0-9a-z]{26}$', examples: ['key_01jd7z3k9qf8v0m4c2t6n5w1xy'] })
const Scope = Type.Union(KEY_SCOPES.map((permission) => Type.Literal(permission)))

export const KeyParams = Type.Composite([ProjectParams, Type.Object({ keyId: KeyId })])

const AllowedIps = Type.Array(Type.String({ maxLength: 50, examples: ['203.0.113.0/24'] }), {
  maxItems: 100,
  description:
    'IPv4 and IPv6 addresses and networks that the key may be used from; from elsewhere it is answered 403. Empty allows all.',
})
const RequestsPerMinute = Type.Union([Type.Integer({ minimum: 1, maximum: 1_000_000 }), Type.Null()], {
  description:
    'Requests per minute. On routes that read it takes the place of the limit that every credential has; on those that take events, each process counts for itself. Null sets no own limit.',
})

export const KeySchema = Type.Object({
  id: KeyId,
  projectId: Type.String(),
  name: Type.String(),
  kind: Type.Union([Type.Literal('write'), Type.Literal('api')]),
  hint: Type.String({ description: 'The first characters of the key.', examples: ['mh_live_4fGh'] }),
  scopes: Type.Array(Type.String()),
  allowedIps: AllowedIps,
  requestsPerMinute: RequestsPerMinute,
  createdAt: Type.String({ format: 'date-time' }),
  expiresAt: Type.Union([Type.String({ format: 'date-time' }), Type.Null()]),
  lastUsedAt: Type.Union([Type.String({ format: 'date-time' }), Type.Null()], {
    description: 'When the key was last good for a request; it is written down once a minute.',
  }),
})
export type Key = Static<typeof KeySchema>

const KEY_EXAMPLE = {
  id: 'key_01jd7z3k9qf8v0m4c2t6n5w1xy',
  projectId: 'prj_01jd7z3k9qf8v0m4c2t6n5w1xy',
  name: 'dashboard',
  kind: 'api',
  hint: 'mh_live_4fGh',
  scopes: ['query:read'],
  allowedIps: ['203.0.113.0/24'],
  requestsPerMinute: null,
  createdAt: '2026-01-31T12:00:00.000Z',
  expiresAt: null,
  lastUsedAt: '2026-01-31T12:34:56.000Z',
}

export const NewKey = Type.Object(
  {
    name: PlainName('What the key is for.', 'checkout service'),
    kind: Type.Union([Type.Literal('write'), Type.Literal('api')], { description: 'write keys may only send events.' }),
    scopes: Type.Optional(
      Type.Array(Scope, {
        minItems: 1,
        uniqueItems: true,
        description: 'Of an api key; a write key always has events:write alone.',
      }),
    ),
    allowedIps: Type.Optional(AllowedIps),
    requestsPerMinute: Type.Optional(RequestsPerMinute),
    expiresAt: Type.Optional(Type.String({ format: 'date-time' })),
  },
  { additionalProperties: false },
)
export type NewKey = Static<typeof NewKey>

export const KeyChange = Type.Object(
  {
    name: Type.Optional(PlainName('What the key is for.', 'checkout service')),
    allowedIps: Type.Optional(AllowedIps),
    requestsPerMinute: Type.Optional(RequestsPerMinute),
    expiresAt: Type.Optional(
      Type.Union([Type.String({ format: 'date-time' }), Type.Null()], { description: 'Null takes the end away.' }),
    ),
  },
  {
    additionalProperties: false,
    minProperties: 1,
    description: 'What is left out stays as it is.',
    examples: [{ allowedIps: ['203.0.113.0/24'] }],
  },
)
export type KeyChange = Static<typeof KeyChange>

const OVERLAP_SECONDS_MAX = 30 * 24 * 3600

export const KeyRotation = Type.Object(
  {
    overlapSeconds: Type.Integer({
      minimum: 0,
      maximum: OVERLAP_SECONDS_MAX,
      description: 'How long the old key goes on, up to 30 days.',
    }),
  },
  { additionalProperties: false, examples: [{ overlapSeconds: 86_400 }] },
)
export type KeyRotation = Static<typeof KeyRotation>

export const KeyPage = Type.Object(
  { data: Type.Array(KeySchema), nextCursor: Type.Union([Type.String(), Type.Null()]) },
  { description: 'One page of keys.', examples: [{ data: [KEY_EXAMPLE], nextCursor: null }] },
)

export const CreatedKey = Type.Composite(
  [
    KeySchema,
    Type.Object({
      key: Type.String({ description: 'The key itself. It is shown this once and cannot be read again.' }),
    }),
  ],
  { description: 'The new key.', examples: [{ ...KEY_EXAMPLE, key: 'mh_live_…' }] },
)

const Name = Type.String({ minLength: 1, maxLength: 100, examples: ['Web shop'] })
const AllowedOrigins = Type.Array(Type.String({ maxLength: 300 }), {
  maxItems: 100,
  description:
    'Origins whose pages may send events: `https://app.example.com`, `https://*.example.com` for every subdomain, `http://localhost:5173`. Empty allows all. A browser says where a page is from; programs do not, and are not affected.',
})
const IpPolicy = Type.Union(
  IP_POLICIES.map((policy) => Type.Literal(policy)),
  { description: "What is kept of a sender's address: all of it, its network, or nothing." },
)
const TimeZone = Type.String({
  maxLength: 64,
  description: "IANA time zone of the project's days, for whoever shows them; a query names its own.",
  examples: ['Europe/Berlin'],
})
const RetentionDays = Type.Union([Type.Integer({ minimum: 1, maximum: 3650 }), Type.Null()], {
  description:
    'Days that events are kept after their own day in UTC. Older ones are deleted for good, daily, and within about an hour of a change; what was counted of them stays counted. An event that comes later than that is deleted uncounted. Null keeps them as long as the plan does, and no project keeps them longer.',
})

export const ProjectSchema = Type.Object(
  {
    id: Type.String(),
    organizationId: Type.String(),
    name: Name,
    timeZone: TimeZone,
    allowedOrigins: AllowedOrigins,
    ipPolicy: IpPolicy,
    retentionDays: RetentionDays,
    effectiveRetentionDays: Type.Union([Type.Integer({ minimum: 1 }), Type.Null()], {
      description:
        'Days that events are kept in fact: the smaller of `retentionDays` and what the plan keeps; null is for good.',
    }),
    createdAt: Type.String({ format: 'date-time' }),
  },
  {
    description: 'The project.',
    examples: [
      {
        id: 'prj_01jd7z3k9qf8v0m4c2t6n5w1xy',
        organizationId: 'org_01jd7z3k9qf8v0m4c2t6n5w1xy',
        name: 'Web shop',
        timeZone: 'Europe/Berlin',
        allowedOrigins: ['https://*.example.com'],
        ipPolicy: 'truncate',
        retentionDays: 365,
        effectiveRetentionDays: 365,
        createdAt: '2026-01-31T12:00:00.000Z',
      },
    ],
  },
)
export type Project = Static<typeof ProjectSchema>

export const ProjectPage = Type.Object(
  { data: Type.Array(ProjectSchema), nextCursor: Type.Union([Type.String(), Type.Null()]) },
  { description: 'One page of projects.', examples: [{ data: ProjectSchema.examples, nextCursor: null }] },
)

export const ProjectPageQuery = Type.Object(
  {
    limit: LimitQuery,
    cursor: Type.Optional(
      Type.String({ pattern: '^prj_[0-9a-z]{26}$', description: 'The `nextCursor` of the page before.' }),
    ),
  },
  { additionalProperties: false },
)

export const NewProject = Type.Object(
  {
    name: PlainName('What the project is called.', 'Web shop'),
    timeZone: Type.Optional(TimeZone),
    allowedOrigins: Type.Optional(AllowedOrigins),
    ipPolicy: Type.Optional(IpPolicy),
    retentionDays: Type.Optional(RetentionDays),
  },
  { additionalProperties: false, examples: [{ name: 'Web shop' }] },
)
export type NewProject = Static<typeof NewProject>

export const ProjectChange = Type.Object(
  {
    name: Type.Optional(PlainName('What the project is called.', 'Web shop')),
    timeZone: Type.Optional(TimeZone),
    allowedOrigins: Type.Optional(AllowedOrigins),
    ipPolicy: Type.Optional(IpPolicy),
    retentionDays: Type.Optional(RetentionDays),
  },
  {
    additionalProperties: false,
    minProperties: 1,
    description: 'What is left out stays as it is.',
    examples: [{ allowedOrigins: ['https://*.example.com'] }],
  },
)
export type ProjectChange = Static<typeof ProjectChange>
