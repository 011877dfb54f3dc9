import { createWriteStream } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import { PassThrough, type Readable, Transform, type TransformCallback } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createBrotliDecompress, createGunzip, createInflate, createZstdDecompress } from 'node:zlib'
import { StatementError, statementError } from './clickhouse-errors.ts'

const BODY_BYTES_MAX = 64 * 1024 * 1024

/** The request's whole body, decompressed. */
export async function collectBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  await readThrough(request, async (body) => {
    for await (const chunk of body) chunks.push(chunk as Buffer)
  })
  return Buffer.concat(chunks)
}

/** Writes `before` and the request's decompressed body to a file: rows on their way to the engine never fill this process. */
export async function spoolBody(request: IncomingMessage, before: string | Buffer, file: string): Promise<void> {
  const target = createWriteStream(file, { mode: 0o600 })
  if (before.length > 0) target.write(before)
  await readThrough(request, (body) => pipeline(body, target))
}

/** A refused body is read to its end all the same: a client that is still sending would see a broken connection. */
async function readThrough(request: IncomingMessage, consume: (body: Readable) => Promise<void>): Promise<void> {
  const body = request.pipe(decoderFor(request.headers['content-encoding']))
  request.once('close', () => {
    if (!request.complete) body.destroy(new Error('The client went away while it was sending'))
  })
  const bounded = body.pipe(boundedBytes())
  body.once('error', (error) => bounded.destroy(error))
  try {
    await consume(bounded)
  } catch (cause) {
    request.unpipe(body)
    request.resume()
    throw cause instanceof StatementError
      ? cause
      : statementError('CANNOT_DECOMPRESS', `Cannot read the request body: ${String(cause)}`)
  }
}

function decoderFor(encoding = 'identity'): Transform {
  const decoder = DECODERS.get(encoding.trim().toLowerCase())
  if (!decoder)
    throw statementError('NOT_IMPLEMENTED', `Unknown Content-Encoding ${encoding}: send gzip, deflate, br or zstd`)
  return decoder()
}

const DECODERS = new Map<string, () => Transform>([
  ['identity', () => new PassThrough()],
  ['', () => new PassThrough()],
  ['gzip', createGunzip],
  ['deflate', createInflate],
  ['br', createBrotliDecompress],
  ['zstd', createZstdDecompress],
])

/** Counts decompressed bytes, so that a small bomb cannot become a large file. */
function boundedBytes(): Transform {
  let total = 0
  return new Transform({
    transform(chunk: Buffer, _encoding, done: TransformCallback) {
      total += chunk.length
      if (total <= BODY_BYTES_MAX) return done(null, chunk)
      done(
        statementError('TOO_MANY_BYTES', `The request body is larger than ${BODY_BYTES_MAX} bytes: send it in parts`),
      )
    },
  })
}

/** The client sends long parameters as a form instead of a URL; its fields mean what the URL's parameters mean. */
export function isForm(request: IncomingMessage): boolean {
  return /^multipart\/form-data\b/i.test(request.headers['content-type'] ?? '')
}

export async function collectForm(request: IncomingMessage): Promise<[string, string][]> {
  const type = request.headers['content-type'] ?? ''
  const body = await collectBody(request)
  const form = await new Response(new Uint8Array(body), { headers: { 'content-type': type } }).formData()
  return Array.from(form, ([name, value]) => {
    if (typeof value === 'string') return [name, value]
    throw statementError('NOT_IMPLEMENTED', `The embedded ClickHouse takes no external table ${name}`)
  })
}
