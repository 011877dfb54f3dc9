import { open } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { PassThrough, type Readable, Transform, type TransformCallback } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createBrotliDecompress, createGunzip, createInflate, createZstdDecompress } from 'node:zlib'
import { statementError } from './clickhouse-errors.ts'

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
export async function spoolBody(request: IncomingMessage, before: string, file: string): Promise<void> {
  await readThrough(request, async (body) => {
    // The file is there before anything can fail, so that whoever removes it after a failure finds it.
    const target = (await open(file, 'wx', 0o600)).createWriteStream()
    if (before !== '') target.write(before)
    await pipeline(body, target)
  })
}

/** A refused body is read to its end all the same: a client that is still sending would see a broken connection. */
async function readThrough(request: IncomingMessage, consume: (body: Readable) => Promise<void>): Promise<void> {
  const decoder = decoderFor(request.headers['content-encoding'])
  const body = boundedBytes()
  body.on('error', () => {
    // `consume` reports it, but it may come before `consume` listens.
  })
  decoder.once('error', (error) => {
    body.destroy(statementError('CANNOT_DECOMPRESS', `Cannot decompress the request body: ${error.message}`))
  })
  request.once('close', () => {
    if (!request.complete) body.destroy(new Error('The client went away while it was sending'))
  })
  request.pipe(decoder).pipe(body)
  try {
    await consume(body)
  } catch (error) {
    request.unpipe(decoder)
    request.resume()
    throw error
  }
}

function decoderFor(encoding = 'identity'): Transform {
  const decoder = DECODERS.get(encoding.trim().toLowerCase())
  if (decoder) return decoder()
  throw statementError('NOT_IMPLEMENTED', `Unknown Content-Encoding ${encoding}: send gzip, deflate, br or zstd`)
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
