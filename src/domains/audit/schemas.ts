import { type Static, Type } from '@sinclair/typebox'
import { CursorQuery, LimitQuery, TimeInput } from '../../http/schemas.ts'

const Nullable = (description: string) => Type.Unsafe<string | null>({ type: ['string', 'null'], description })
const Details = (description: string) =>
  Type.Unsafe<Record<string, unknown> | null>({ type: ['object', 'null'], additionalProperties: true, description })

const EXAMPLE = {
  id: 'aud_01jd7z3k9qf8v0m4c2t6n5w1xy',
  sequence: 42,
  at: '2026-01-31T12:00:00.000Z',
  projectId: 'prj_01jd7z3k9qf8v0m4c2t6n5w1xy',
  actor: { kind: 'user', id: 'usr_01jd7z3k9qf8v0m4c2t6n5w1xy', name: 'Ada' },
  action: 'api_key.revoked',
  target: { kind: 'api_key', id: 'key_01jd7z3k9qf8v0m4c2t6n5w1xy' },
  ip: '192.0.2.7',
  userAgent: 'Mozilla/5.0',
  before: { name: 'dashboard', kind: 'api', hint: 'mh_live_4fGh', scopes: ['query:read'] },
  after: null,
  previousHash: '5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef',
  hash: 'ef2d127de37b942baad06145e54b0c619a1f22327b2ebbcfbec78f5564afe39d',
}

export const EntrySchema = Type.Object(
  {
    id: Type.String(),
    sequence: Type.Integer({ description: 'Its place among all entries of the organization, from 1 without a gap.' }),
    at: Type.String({ format: 'date-time' }),
    projectId: Nullable('The project that it concerns, if it concerns one.'),
    actor: Type.Object({
      kind: Type.Union([Type.Literal('user'), Type.Literal('key'), Type.Literal('operator'), Type.Literal('system')], {
        description:
          'A member, an API key, a person who runs the platform, or the platform itself when its time had come.',
      }),
      id: Type.String(),
      name: Nullable('As it was called then.'),
    }),
    action: Type.String({ description: 'What was done, as noun.verb.' }),
    target: Type.Object({ kind: Type.String(), id: Type.String() }),
    ip: Nullable('The address that it was asked for from.'),
    userAgent: Nullable('The program that it was asked for with.'),
    before: Details('What was, as far as it changed. Never a secret.'),
    after: Details('What is since then, as far as it changed. Never a secret.'),
    previousHash: Type.String({ description: '`hash` of the entry before; zeros in the first.' }),
    hash: Type.String({ description: 'SHA-256, hex, over all of the above.' }),
  },
  { title: 'AuditEntry' },
)
export type Entry = Static<typeof EntrySchema>

export const EntryPage = Type.Object(
  { data: Type.Array(EntrySchema), nextCursor: Nullable('Where the next page begins; null on the last.') },
  { description: 'One page of entries, newest first.', examples: [{ data: [EXAMPLE], nextCursor: null }] },
)
export type EntryPage = Static<typeof EntryPage>

const filters = {
  action: Type.Optional(Type.String({ pattern: '^[a-z_]+\\.[a-z_]+$', maxLength: 100, examples: ['api_key.revoked'] })),
  actor: Type.Optional(
    Type.String({
      pattern: '^(usr|key)_[0-9a-z]{26}$',
      description: 'Id of a person or of a key.',
      examples: ['usr_01jd7z3k9qf8v0m4c2t6n5w1xy'],
    }),
  ),
  from: Type.Optional(Type.Union(TimeInput.anyOf, { description: 'The first moment.' })),
  to: Type.Optional(Type.Union(TimeInput.anyOf, { description: 'The end, which is not included.' })),
}

export const ExportQuery = Type.Object(filters, { additionalProperties: false })
export type ExportQuery = Static<typeof ExportQuery>

export const EntryQuery = Type.Object(
  { ...filters, limit: LimitQuery, cursor: Type.Optional(Type.String({ ...CursorQuery, pattern: '^[0-9]{1,15}$' })) },
  { additionalProperties: false },
)
export type EntryQuery = Static<typeof EntryQuery>
