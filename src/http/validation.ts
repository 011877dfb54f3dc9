import { Ajv, type AnySchema } from 'ajv'
import addFormats from 'ajv-formats'
import type { FastifySchemaCompiler } from 'fastify'

const OPTIONS = { allErrors: true, useDefaults: true, removeAdditional: false, strict: false } as const

/** JSON says what type a value has, so a body is taken at its word; URLs and headers hold only text, which is read as the schema's type. */
const forBodies = withFormats(new Ajv({ ...OPTIONS, coerceTypes: false }))
const forText = withFormats(new Ajv({ ...OPTIONS, coerceTypes: true }))

function withFormats(ajv: Ajv): Ajv {
  addFormats.default(ajv, ['date-time', 'date', 'email', 'uri', 'uuid'])
  return ajv
}

export const validatorCompiler: FastifySchemaCompiler<AnySchema> = ({ schema, httpPart }) =>
  (httpPart === 'body' ? forBodies : forText).compile(schema)
