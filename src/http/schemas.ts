import { type Static, type TSchema, Type } from '@sinclair/typebox'

/** RFC 9457 problem details, the body of every answer from 400 up. */
export const ProblemSchema = Type.Object(
  {
    type: Type.String({ description: 'A stable URI of this kind of problem; it ends in the code.' }),
    title: Type.String(),
    status: Type.Integer(),
    detail: Type.String(),
    instance: Type.String({ description: 'The id of the request, as in x-request-id.' }),
    code: Type.String({ description: 'domain.reason, stable.' }),
    errors: Type.Optional(
      Type.Array(
        Type.Object({ path: Type.String({ description: 'JSON pointer to the field.' }), message: Type.String() }),
      ),
    ),
  },
  { $id: 'Problem', title: 'Problem', description: 'Problem details (RFC 9457).' },
)

const REASONS: Record<number, string> = {
  400: 'The request is not valid; `errors` names each field.',
  401: 'The credential is missing, unknown, expired or revoked.',
  403: 'The credential lacks the permission.',
  404: 'There is no such resource, or the credential may not know of it.',
  409: 'The resource is in a state that does not allow this.',
  413: 'The body is larger than the limit.',
  415: 'The content type or the content encoding is not supported.',
  422: 'The request is well-formed but cannot be done; `errors` says why.',
  426: 'The request is not a WebSocket handshake.',
  429: 'Too many requests; `Retry-After` says when to come back.',
  500: 'An unexpected fault; the request id finds it in the log.',
  502: 'Another service did not answer, or not as agreed.',
  503: 'A service that this request needs is not available; `Retry-After` says when to come back.',
}

/** The problem answers of a route, by status, with their reasons. 500 is always among them. */
export function problemResponses<S extends keyof typeof REASONS & number>(...statuses: S[]) {
  const responses: Record<number, TSchema> = {}
  for (const status of [...statuses, 500]) {
    responses[status] = Type.Unsafe<Static<typeof ProblemSchema>>({
      description: REASONS[status],
      content: { 'application/problem+json': { schema: Type.Ref('Problem') } },
    })
  }
  return responses as Record<S | 500, TSchema>
}

/** A point in time: RFC 3339 with an offset or Z, or epoch milliseconds. */
export const TimeInput = Type.Union(
  [
    Type.String({
      pattern: '^\\d{4}-\\d{2}-\\d{2}(T\\d{2}:\\d{2}(:\\d{2}(\\.\\d{1,9})?)?(Z|[+-]\\d{2}:\\d{2}))?$',
      description: 'RFC 3339, or a bare date for its midnight in UTC.',
    }),
    Type.Integer({ minimum: 0, maximum: 8_640_000_000_000_000, description: 'Epoch milliseconds.' }),
  ],
  { description: 'RFC 3339 or epoch milliseconds.', examples: ['2026-01-31T12:00:00Z'] },
)

/** Epoch milliseconds of a TimeInput, or NaN for a date that does not exist. */
export function timeToMs(time: Static<typeof TimeInput>): number {
  if (typeof time === 'number') return time
  // Date.parse takes 30 February for 2 March, so the day is looked up first.
  const [year = 0, month = 0, day = 0] = time.slice(0, 10).split('-').map(Number)
  return day <= new Date(Date.UTC(year, month, 0)).getUTCDate() ? Date.parse(time) : Number.NaN
}

/** The name of an IANA time zone as the registry spells it; undefined for what is none. */
export function readTimeZone(name: string): string | undefined {
  if (!/^[A-Za-z]/.test(name)) return undefined
  try {
    return Temporal.Instant.fromEpochMilliseconds(0).toZonedDateTimeISO(name).timeZoneId
  } catch {
    // The runtime tells an unknown zone by throwing a RangeError.
    return undefined
  }
}

export const ProjectParams = Type.Object({
  projectId: Type.String({
    pattern: '^prj_[0-9a-z]{26}$',
    description: 'Id of the project.',
    examples: ['prj_01jd7z3k9qf8v0m4c2t6n5w1xy'],
  }),
})

export const OrganizationParams = Type.Object({
  organizationId: Type.String({
    pattern: '^org_[0-9a-z]{26}$',
    description: 'Id of the organization.',
    examples: ['org_01jd7z3k9qf8v0m4c2t6n5w1xy'],
  }),
})

export const Email = Type.String({ format: 'email', maxLength: 254, examples: ['ada@example.com'] })

/** What people call something: with a character that can be seen, and none that controls a terminal or a mail. */
export const PlainName = (description: string, example: string) =>
  Type.String({
    minLength: 1,
    maxLength: 100,
    pattern: '^[^\\p{Cc}]*[^\\p{Cc}\\s][^\\p{Cc}]*$',
    description,
    examples: [example],
  })

/** What every query answer says about itself. */
export const QueryMeta = Type.Object({
  elapsedMs: Type.Number({ description: 'Time in the event store, milliseconds.' }),
  rowsRead: Type.Integer({ description: 'Rows that the event store read.' }),
  cached: Type.Boolean({ description: 'Whether the answer came from a cache.' }),
  completeThrough: Type.String({
    format: 'date-time',
    description: 'Every event acknowledged up to this time is in the answer.',
  }),
})
export type QueryMeta = Static<typeof QueryMeta>

export const LimitQuery = Type.Integer({ minimum: 1, maximum: 200, default: 50, description: 'Most rows in one page.' })
export const CursorQuery = Type.String({
  maxLength: 512,
  pattern: '^[\\x20-\\x7e]*$',
  description: 'The `nextCursor` of the page before.',
})
