import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { type FieldError, invalidRequest } from '../errors.ts'

/** Routes whose texts are hashed or go to the event store, which takes every character. */
const FREE = new Set<unknown>([undefined, 'public', 'self', 'events:write', 'query:read'])

/** Refuses texts that Postgres cannot store, by their fields: it knows neither U+0000 nor half of a surrogate pair. */
export default fp(
  async (app) => {
    // Put on the routes that want it, so that those where events come in do not pass it by.
    app.addHook('onRoute', (route) => {
      if (!FREE.has(route.config?.access)) route.preHandler = [refuseUnstorable, route.preHandler ?? []].flat()
    })
  },
  { name: 'stored-text' },
)

async function refuseUnstorable({ params, query, body }: FastifyRequest): Promise<void> {
  const errors = [
    ...unstorable(params, '/params'),
    ...unstorable(query, '/querystring'),
    ...(Buffer.isBuffer(body) ? [] : unstorable(body, '')),
  ]
  if (errors.length > 0) throw invalidRequest('A text has a character that cannot be stored.', { errors })
}

const ERRORS_MAX = 20

/** Where such texts are in a value, names of fields among them. It may be as deep as a body is long, so nothing here recurs. */
function unstorable(value: unknown, path: string): FieldError[] {
  const errors: FieldError[] = []
  const open = [{ value, path }]
  for (let next = open.pop(); next && errors.length < ERRORS_MAX; next = open.pop()) {
    const { value: part, path: place } = next
    if (typeof part === 'string' && !isStorable(part))
      errors.push({ path: place, message: 'has U+0000 or half of a surrogate pair, which cannot be stored' })
    if (typeof part !== 'object' || part === null) continue
    for (const [name, inner] of Object.entries(part)) {
      const at = `${place}/${name.toWellFormed()}`
      open.push({ value: inner, path: at }, { value: name, path: at })
    }
  }
  return errors
}

const isStorable = (text: string): boolean => text.isWellFormed() && !text.includes('\0')
