import { createHash, randomUUID, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { answerStatement } from './clickhouse-answer.ts'
import type { Engine } from './clickhouse-engine.ts'
import { faultOf, statementError } from './clickhouse-errors.ts'
import { replyWithFault } from './clickhouse-reply.ts'

export interface Credentials {
  user: string
  password: string
}

/** The part of ClickHouse's HTTP interface that its official client uses: `/ping`, and statements on `/`. */
export function httpInterface(engine: Engine, credentials: Credentials) {
  const isAllowed = authenticator(credentials)

  return async function respond(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const [path = '', search] = (request.url ?? '').split('?', 2)
    if (path === '/ping') {
      request.resume()
      response.end('Ok.\n')
      return
    }
    const id = randomUUID()
    const query = new URLSearchParams(search)
    try {
      if (!isAllowed(request, query)) {
        throw statementError('AUTHENTICATION_FAILED', 'Authentication failed: wrong user name or password')
      }
      await answerStatement(engine, { id, query, request, response, signal: signalOfAbsence(response) })
    } catch (error) {
      // What is left of the body is read and dropped: a client still sending would not see the answer otherwise.
      request.resume()
      replyWithFault(response, query.get('query_id') || id, faultOf(error), engine.version)
    }
  }
}

/** Aborts when the client goes away before it has its answer. */
function signalOfAbsence(response: ServerResponse): AbortSignal {
  const absence = new AbortController()
  response.once('close', () => {
    if (!response.writableFinished) absence.abort()
  })
  return absence.signal
}

function authenticator({ user, password }: Credentials) {
  const digest = (text: string) => createHash('sha256').update(text).digest()
  const expected = digest(`${user}:${password}`)

  return (request: IncomingMessage, query: URLSearchParams): boolean => {
    const basic = /^Basic (.+)$/i.exec(request.headers.authorization ?? '')?.[1]
    const name = request.headers['x-clickhouse-user'] ?? query.get('user') ?? 'default'
    const key = request.headers['x-clickhouse-key'] ?? query.get('password') ?? ''
    const given = basic ? Buffer.from(basic, 'base64').toString() : `${name}:${key}`
    return timingSafeEqual(digest(given), expected)
  }
}
