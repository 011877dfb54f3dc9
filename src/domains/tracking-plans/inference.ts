import type { ProjectScope } from '../../http/access.ts'
import type { ClickHouse } from '../../infra/clickhouse.ts'
import { eventNamesStatement, recentSpan, sampleStatement } from '../insights/index.ts'
import { inferSchema, type SampledEvent } from './infer.ts'
import type { InferAnswer, InferQuery } from './tool-schemas.ts'

/** Of each event name: what is parsed and looked at between two other requests. */
const SAMPLE_BYTES_MAX = 4 * 1024 * 1024

interface InferenceDependencies {
  clickhouse: Pick<ClickHouse, 'query'>
  now?: () => number
}

/** Proposes schemas for what a project really sends. Reads only, and publishes nothing. */
export function createInference({ clickhouse, now = Date.now }: InferenceDependencies) {
  return async (scope: ProjectScope, query: InferQuery): Promise<InferAnswer> => {
    const { event, sampleSize, limit, ...range } = query
    const span = recentSpan(range, now())
    const { names, complete } =
      event === undefined ? await frequentNames(scope, query) : { names: [event], complete: true }
    const data: InferAnswer['data'] = []
    for (const name of names) {
      const statement = sampleStatement({ event: name, span, eventsMax: sampleSize, bytesMax: SAMPLE_BYTES_MAX })
      const { rows } = await clickhouse.query(scope, statement)
      const events = rows.map(
        ({ properties, traits, context, person }): SampledEvent => ({
          properties: parse(properties),
          traits: parse(traits),
          context: parse(context),
          person,
        }),
      )
      if (events.length > 0) data.push({ event: name, sampled: events.length, ...inferSchema(events) })
    }
    return { data, complete }
  }

  async function frequentNames(scope: ProjectScope, { sampleSize: _size, limit, ...range }: InferQuery) {
    const statement = eventNamesStatement({ ...range, limit: limit + 1 }, now())
    const { rows } = await clickhouse.query(scope, statement)
    return { names: rows.slice(0, limit).map(({ event }) => event), complete: rows.length <= limit }
  }
}
export type Inference = ReturnType<typeof createInference>

const parse = (text: string): Record<string, unknown> => (text === '' ? {} : JSON.parse(text))
