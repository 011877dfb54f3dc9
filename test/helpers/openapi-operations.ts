import type { FastifyInstance } from 'fastify'

export interface JsonSchema {
  type?: string | string[]
  properties?: Record<string, JsonSchema>
  required?: string[]
  items?: JsonSchema
  anyOf?: JsonSchema[]
  allOf?: JsonSchema[]
  examples?: unknown[]
  example?: unknown
  default?: unknown
  const?: unknown
  enum?: unknown[]
  pattern?: string
  format?: string
  minLength?: number
  minItems?: number
  minProperties?: number
  minimum?: number
  maximum?: number
  additionalProperties?: unknown
}

interface Parameter {
  in: string
  name: string
  required?: boolean
  schema: JsonSchema
}

export interface Operation {
  id: string
  method: string
  path: string
  parameters: Parameter[]
  body: JsonSchema | undefined
  isPublic: boolean
}

type Document = {
  paths: Record<string, Record<string, Record<string, unknown>>>
}

/** Every operation of the application's own OpenAPI document, so that a new route joins by itself. */
export async function operationsOf(app: FastifyInstance): Promise<Operation[]> {
  const { paths } = (await app.inject({ url: '/openapi.json' })).json() as Document
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => {
      const content = (operation.requestBody as { content?: Record<string, { schema: JsonSchema }> })?.content
      return {
        id: String(operation.operationId),
        method: method.toUpperCase(),
        path,
        parameters: (operation.parameters ?? []) as Parameter[],
        body: content?.['application/json']?.schema,
        isPublic: ((operation.security ?? []) as unknown[]).length === 0,
      }
    }),
  )
}

/** A value that a schema takes: its example where it has one, else the least that is required. */
export function sampleOf(schema: JsonSchema): unknown {
  const given = [schema.examples?.[0], schema.example, schema.const, schema.enum?.[0], schema.default]
  const known = given.find((value) => value !== undefined)
  if (known !== undefined) return known
  const first = schema.anyOf?.[0]
  if (first) return sampleOf(first)
  if (schema.properties) {
    const names = Object.keys(schema.properties)
    const wanted = new Set([...(schema.required ?? []), ...names.slice(0, schema.minProperties ?? 0)])
    return Object.fromEntries([...wanted].map((name) => [name, sampleOf(schema.properties?.[name] ?? {})]))
  }
  if (schema.type === 'array') return Array.from({ length: schema.minItems ?? 0 }, () => sampleOf(schema.items ?? {}))
  if (schema.type === 'integer' || schema.type === 'number') return schema.minimum ?? 1
  if (schema.type === 'boolean') return false
  if (schema.type === 'object') return {}
  if (schema.format === 'email') return 'somebody@example.com'
  return 'x'.repeat(Math.max(schema.minLength ?? 0, schema.pattern?.includes('{43}') ? 43 : 1))
}
