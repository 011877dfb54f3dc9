import { type TProperties, Type } from '@sinclair/typebox'
import type { IngestAnswer } from '../schemas.ts'

const Rejected = Type.Array(
  Type.Object({
    index: Type.Integer(),
    messageId: Type.Union([Type.String(), Type.Null()]),
    code: Type.Optional(Type.String()),
    message: Type.Optional(Type.String()),
  }),
  { description: 'The events that are invalid; sending them again changes nothing. Absent when there are none.' },
)

/** What a foreign client needs to see, and beside it, where it does not look, which events were refused. */
export const Success = (properties: TProperties, example: Record<string, unknown>) =>
  Type.Object(
    { ...properties, rejected: Type.Optional(Rejected) },
    { description: 'Every event that is not listed as rejected is on disk.', examples: [example] },
  )

/** The body of such an answer. */
export const withRejected = (success: Record<string, unknown>) => (answer: IngestAnswer) => ({
  ...success,
  ...(answer.rejected > 0 ? { rejected: answer.results.filter(({ status }) => status === 'rejected') } : {}),
})
