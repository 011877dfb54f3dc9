import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { PassThrough, type Readable, type Writable } from 'node:stream'
import { promisify } from 'node:util'
import { constants, createGzip, gzip } from 'node:zlib'
import type { Outcome } from './clickhouse-engine.ts'
import { type ClickHouseFault, faultOf, faultStatus, faultText } from './clickhouse-errors.ts'

export interface ReplyOptions {
  queryId: string
  format: string
  version: string
  compress: boolean
  /** Results up to this size are answered whole: with an exact summary, and with a status that tells of any failure. */
  holdBytesMax: number
}

const GZIP_OPTIONS = { level: constants.Z_BEST_SPEED }
const NOTHING: Outcome = { readRows: 0, readBytes: 0, writtenRows: 0, writtenBytes: 0, elapsedNs: 0 }
const compressWhole = promisify(gzip)

/** Sends a result as it comes, no faster than the client reads it. */
export async function replyWithStream(
  response: ServerResponse,
  options: ReplyOptions,
  output: Readable,
  finished: Promise<Outcome>,
  signal: AbortSignal,
): Promise<void> {
  const held: Buffer[] = []
  let heldBytes = 0
  let stream: ResultStream | undefined
  for await (const chunk of output as AsyncIterable<Buffer>) {
    held.push(chunk)
    heldBytes += chunk.length
    if (!stream && heldBytes <= options.holdBytesMax) continue
    stream ??= startStream(response, options)
    let hasRoom = true
    for (const part of held.splice(0)) hasRoom = stream.body.write(part)
    if (!hasRoom) await once(stream.body, 'drain', { signal })
  }
  if (!stream) return replyWithOutcome(response, options, await finished, Buffer.concat(held))
  await finished.then(stream.end, (error: unknown) => stream.breakOff(faultOf(error)))
}

export async function replyWithOutcome(
  response: ServerResponse,
  options: ReplyOptions,
  outcome: Outcome,
  body: Buffer,
): Promise<void> {
  const bytes = options.compress ? await compressWhole(body, GZIP_OPTIONS) : body
  response.writeHead(200, { ...resultHeaders(options, outcome), 'Content-Length': bytes.length })
  response.end(bytes)
}

export function replyWithFault(response: ServerResponse, queryId: string, fault: ClickHouseFault, version: string) {
  if (response.headersSent) {
    response.destroy()
    return
  }
  response.writeHead(faultStatus(fault), {
    'X-ClickHouse-Exception-Code': String(fault.code),
    'X-ClickHouse-Query-Id': queryId,
    'X-ClickHouse-Server-Display-Name': SERVER_NAME,
    'Content-Type': 'text/plain; charset=UTF-8',
  })
  response.end(faultText(fault, version))
}

interface ResultStream {
  body: Writable
  end(): void
  breakOff(fault: ClickHouseFault): void
}

function startStream(response: ServerResponse, options: ReplyOptions): ResultStream {
  const tag = randomBytes(8).toString('hex')
  const body = options.compress ? createGzip(GZIP_OPTIONS) : new PassThrough()
  response.writeHead(200, { ...resultHeaders(options, NOTHING), 'X-ClickHouse-Exception-Tag': tag })
  body.pipe(response, { end: false })
  return {
    body,
    end() {
      body.once('end', () => response.end())
      body.end()
    },
    /**
     * The status is sent and rows are on their way, so a failure can only be told at the end of the body, in the form
     * ClickHouse uses; then the connection breaks off, so that nobody takes half a result for a whole one.
     */
    breakOff(fault) {
      const message = faultText(fault, options.version)
      const length = Buffer.byteLength(message)
      body.once('end', () => response.socket?.end())
      body.end(`\r\n__exception__\r\n${tag}\r\n${message}${length} ${tag}\r\n__exception__\r\n`)
    },
  }
}

const SERVER_NAME = 'embedded'

function resultHeaders({ queryId, format, compress }: ReplyOptions, outcome: Outcome) {
  return {
    'Content-Type': CONTENT_TYPES.get(format) ?? 'text/plain; charset=UTF-8',
    ...(compress ? { 'Content-Encoding': 'gzip' } : {}),
    'X-ClickHouse-Format': format,
    'X-ClickHouse-Query-Id': queryId,
    'X-ClickHouse-Server-Display-Name': SERVER_NAME,
    'X-ClickHouse-Timezone': 'UTC',
    'X-ClickHouse-Summary': JSON.stringify({
      read_rows: String(outcome.readRows),
      read_bytes: String(outcome.readBytes),
      written_rows: String(outcome.writtenRows),
      written_bytes: String(outcome.writtenBytes),
      elapsed_ns: String(outcome.elapsedNs),
    }),
  }
}

const CONTENT_TYPES = new Map([
  ['JSON', 'application/json; charset=UTF-8'],
  ['JSONCompact', 'application/json; charset=UTF-8'],
  ['JSONEachRow', 'application/x-ndjson; charset=UTF-8'],
  ['CSV', 'text/csv; charset=UTF-8; header=absent'],
  ['CSVWithNames', 'text/csv; charset=UTF-8; header=present'],
  ['TabSeparated', 'text/tab-separated-values; charset=UTF-8'],
])
