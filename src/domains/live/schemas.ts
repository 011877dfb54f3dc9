import { type Static, Type } from '@sinclair/typebox'
import { Filters } from '../insights/index.ts'

const Id = Type.String({
  pattern: '^\\d{1,15}-\\d{1,15}\\.\\d{1,6}$',
  description: 'Id of a live event, to resume after.',
})

export const LiveQuery = Type.Object(
  {
    event: Type.Optional(Type.String({ maxLength: 200, description: 'Only events of this name.' })),
    filters: Type.Optional(Type.String({ maxLength: 8192, description: 'JSON array of filters, as in a query.' })),
    after: Type.Optional(Id),
  },
  { additionalProperties: false },
)

export type LiveQuery = Static<typeof LiveQuery>

/** What a client may send: a new filter, which replaces the one before. */
export const ClientFrame = Type.Object(
  {
    type: Type.Literal('filter'),
    event: Type.Optional(Type.String({ maxLength: 200 })),
    filters: Type.Optional(Filters),
  },
  { additionalProperties: false },
)
export type ClientFrame = Static<typeof ClientFrame>

/** Everything that the server sends, as one JSON text per message. */
export type ServerFrame =
  | { type: 'hello'; heartbeatIntervalMs: number }
  | { type: 'event'; id: string; event: Record<string, unknown> }
  | { type: 'dropped'; count: number }
  /** Events after this id may have been freed from the buffer: read them with the events route. */
  | { type: 'gap'; after: string }
  | { type: 'heartbeat'; time: string; lastId: string | null }
  | { type: 'filtered' }
  | { type: 'error'; errors: { path: string; message: string }[] }
