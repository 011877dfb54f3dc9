import SerializerSelector from '@fastify/fast-json-stringify-compiler'

type Factory = ReturnType<typeof SerializerSelector>

/**
 * Compiles each schema of an answer once, however many routes give it. Every route can answer a dozen problems, all of one schema: a
 * serializer for each would be a third of the time that a process takes to start.
 */
export const buildSerializer: Factory = (externalSchemas, options) => {
  const compile = SerializerSelector()(externalSchemas, options)
  const known = new Map<string, ReturnType<typeof compile>>()
  return (route) => {
    const text = JSON.stringify(route.schema)
    const serialize = known.get(text) ?? compile(route)
    known.set(text, serialize)
    return serialize
  }
}
