import type { IncomingMessage } from 'node:http'
import type { Scope } from './clickhouse-connection.ts'
import { statementError } from './clickhouse-errors.ts'

export interface RequestOptions {
  query: string
  queryId: string
  defaultFormat: string
  holdWholeResult: boolean
  compressResponse: boolean
  scope: Omit<Scope, 'id' | 'signal'>
}

/** Splits a request's URL (and form fields) into what ClickHouse's HTTP interface makes of them. */
export function readOptions(
  request: IncomingMessage,
  fields: Iterable<[string, string]>,
  freshId: string,
): RequestOptions {
  const named = new Map<string, string>()
  const settings = new Map<string, string>()
  const params = new Map<string, string>()
  for (const [name, value] of fields) {
    if (INTERFACE_NAMES.has(name)) named.set(name, value)
    else if (name.startsWith('param_')) params.set(plainName(name.slice('param_'.length)), value)
    else settings.set(plainName(name), value)
  }
  refuseUnsupported(named)
  // As in ClickHouse, GET can only read.
  if (request.method !== 'POST' && !settings.has('readonly')) settings.set('readonly', '2')
  return {
    query: named.get('query') ?? '',
    queryId: named.get('query_id') || freshId,
    defaultFormat: named.get('default_format') || headerOf(request, 'x-clickhouse-format') || 'TabSeparated',
    holdWholeResult: named.get('wait_end_of_query') === '1',
    compressResponse:
      named.get('enable_http_compression') === '1' && /\bgzip\b/.test(headerOf(request, 'accept-encoding') ?? ''),
    scope: { database: named.get('database') || headerOf(request, 'x-clickhouse-database'), settings, params },
  }
}

/** Parameters of the interface itself; every other name is a setting. */
const INTERFACE_NAMES = new Set([
  'query',
  'query_id',
  'database',
  'default_format',
  'wait_end_of_query',
  'buffer_size',
  'enable_http_compression',
  'http_zlib_compression_level',
  'user',
  'password',
  'quota_key',
  'session_id',
  'session_timeout',
  'session_check',
  'close_session',
  'role',
  'compress',
  'decompress',
  'stacktrace',
  'client_protocol_version',
])

function refuseUnsupported(named: ReadonlyMap<string, string>) {
  const asked = ['session_id', 'role'].find((name) => named.has(name))
  if (asked) throw statementError('NOT_IMPLEMENTED', `The embedded ClickHouse has no ${asked}: leave the parameter out`)
  const compressed = ['compress', 'decompress'].find((name) => named.get(name) === '1')
  if (compressed) {
    throw statementError(
      'NOT_IMPLEMENTED',
      `The embedded ClickHouse has no ${compressed}=1: use HTTP's Content-Encoding`,
    )
  }
}

/** Names go into SQL text as they are, so nothing but a plain word may pass. */
function plainName(name: string): string {
  if (/^[A-Za-z_0-9]+$/.test(name)) return name
  throw statementError(
    'UNKNOWN_SETTING',
    `Setting or parameter ${JSON.stringify(name)} is neither defined nor a plain name`,
  )
}

function headerOf(request: IncomingMessage, name: string): string | undefined {
  const value = request.headers[name]
  return Array.isArray(value) ? value[0] : value
}
