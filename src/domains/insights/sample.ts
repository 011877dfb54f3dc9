import { Type } from '@sinclair/typebox'
import type { Span } from './buckets.ts'
import { createParameters } from './parameters.ts'
import { eventsOfProject, newestKeys } from './queries.ts'

const SampleRow = Type.Object({
  properties: Type.String(),
  traits: Type.String(),
  context: Type.String(),
  person: Type.String({ description: 'Tells people apart and does not name them; empty for nobody.' }),
})

interface Sample {
  event: string
  span: Span
  eventsMax: number
  bytesMax: number
}

/** The newest events of one name, as many as fit into so many bytes of JSON. */
export function sampleStatement({ event, span, eventsMax, bytesMax }: Sample) {
  const { bind, values } = createParameters()
  const conditions = [`event = ${bind(event, 'String')}`]
  const sql = `SELECT properties, traits, context, person
FROM (
  SELECT properties, traits, context, if(distinct_id = '', '', toString(cityHash64(distinct_id))) AS person,
    sum(length(properties) + length(traits) + length(context)) OVER (ORDER BY timestamp DESC, message_id DESC ROWS UNBOUNDED PRECEDING) AS bytes
  ${eventsOfProject([span], [...conditions, newestKeys([span], conditions, eventsMax, bind)], bind)}
)
WHERE bytes <= ${bind(bytesMax, 'UInt32')}`
  return { sql, params: values, schema: SampleRow }
}
