import { isUtf8 } from 'node:buffer'
import type { Readable, Transform } from 'node:stream'
import { createBrotliDecompress, createGunzip, createInflate, createZstdDecompress } from 'node:zlib'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Problem } from '../../errors.ts'
import { bodyEmpty, bodyNotDecodable, bodyNotJson, bodyTooLarge, tooManyEvents, unsupportedEncoding } from './errors.ts'
import { type EventFields, type PlainBody, readPlainBody, readPlainLines } from './plain-body.ts'
import { LIMITS } from './schemas.ts'
import { refuseUnreasonable } from './shape.ts'

const DECODERS: Record<string, () => Transform> = {
  gzip: createGunzip,
  deflate: createInflate,
  br: createBrotliDecompress,
  zstd: createZstdDecompress,
}

/**
 * One event of a request: valid and read, or parsed and not yet validated, or with a fault of its own, as a line of NDJSON has that is
 * no JSON.
 */
export type RawEvent = { fields: EventFields } | { value: unknown } | { fault: string; code?: string }

export interface RawBatch {
  events: RawEvent[]
  sentAt: unknown
}

/**
 * Makes the scope read bodies as bytes. Decoded output is counted chunk by chunk and cut at the limit, so a compression bomb costs
 * at most one chunk more memory than an honest body.
 */
export function readBodiesAsBytes(app: FastifyInstance, mediaTypes: string[]): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser(mediaTypes, (request: FastifyRequest, payload: Readable) =>
    readBody(payload, request.headers['content-encoding'] ?? 'identity'),
  )
}

/** The body of a request after decoding, at most LIMITS.bodyBytes of it. */
export async function readBody(payload: Readable, encoding: string): Promise<Buffer> {
  const name = encoding.trim().toLowerCase()
  if (name === 'identity') return collect(payload)
  const decoder = DECODERS[name]?.()
  if (!decoder) {
    throw unsupportedEncoding(`Content-Encoding must be one of ${Object.keys(DECODERS).join(', ')}; not ${name}.`)
  }
  payload.on('error', (error) => decoder.destroy(error))
  try {
    return await collect(payload.pipe(decoder))
  } catch (error) {
    if (isProblem(error)) throw error
    throw bodyNotDecodable(`The body is not valid ${name}.`, { cause: error })
  } finally {
    // What the client still sends of a refused body flows to nowhere.
    payload.unpipe(decoder).resume()
    decoder.destroy()
  }
}

const isProblem = (error: unknown): error is Problem => error instanceof Error && error.name === 'Problem'

/** By events and not by iteration, which costs several times as much as a small body does. */
function collect(stream: Readable): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let bytes = 0
    stream.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      if (bytes <= LIMITS.bodyBytes) return void chunks.push(chunk)
      stream.pause()
      reject(bodyTooLarge(`A body may hold ${LIMITS.bodyBytes} bytes after decoding.`))
    })
    stream.once('end', () => resolve(chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks, bytes)))
    stream.once('error', reject)
    stream.once('close', () => reject(new Error('the body ended early')))
  })
}

/** Splits a decoded body into events: one object, an array, `{ batch, sentAt }`, or one JSON text per line. */
export function splitBody(body: Buffer, contentType: string): RawBatch {
  refuseBadUtf8(body)
  const areLines = contentType.startsWith('application/x-ndjson')
  const bytes = body.toString('latin1')
  const plain = areLines ? readPlainLines(bytes) : readPlainBody(bytes)
  const batch = plain ? ofPlain(plain) : areLines ? splitLines(body.toString()) : splitJson(body.toString())
  checkCount(batch)
  return batch
}

const ofPlain = ({ events, sentAt }: PlainBody): RawBatch => ({ events: events.map((fields) => ({ fields })), sentAt })

/** Refuses a request without events, and one with more than are admitted at once. */
export function checkCount({ events }: RawBatch): void {
  if (events.length === 0) throw bodyEmpty('Send at least one event.')
  if (events.length > LIMITS.events) {
    throw tooManyEvents(`A request may hold ${LIMITS.events} events; this one holds ${events.length}.`)
  }
}

function splitLines(text: string): RawBatch {
  refuseUnreasonable(text)
  const lines = text.split('\n').filter((line) => line.trim() !== '')
  return {
    events: lines.length > LIMITS.events ? lines.map((value) => ({ value })) : lines.map(parseLine),
    sentAt: undefined,
  }
}

function parseLine(line: string): RawEvent {
  try {
    return { value: JSON.parse(line) }
  } catch {
    // The parser's message quotes the input, which may hold personal data; the position in the request is enough.
    return { fault: 'the line is not JSON' }
  }
}

/** The text of a body, which has to be UTF-8. */
export function decodeText(body: Buffer): string {
  refuseBadUtf8(body)
  return body.toString()
}

function refuseBadUtf8(body: Buffer): void {
  if (!isUtf8(body)) throw bodyNotDecodable('The body is not valid UTF-8.')
}

/** The JSON value of a body's text. */
export function parseJson(text: string): unknown {
  if (text.trim() === '') throw bodyEmpty('Send at least one event.')
  refuseUnreasonable(text)
  try {
    return JSON.parse(text)
  } catch {
    // The parser's message quotes the input, which may hold personal data.
    throw bodyNotJson('The body is not valid JSON.')
  }
}

function splitJson(text: string): RawBatch {
  const parsed = parseJson(text)
  if (Array.isArray(parsed)) return { events: parsed.map((value) => ({ value })), sentAt: undefined }
  if (isBatch(parsed)) return { events: parsed.batch.map((value) => ({ value })), sentAt: parsed.sentAt }
  return { events: [{ value: parsed }], sentAt: undefined }
}

const isBatch = (value: unknown): value is { batch: unknown[]; sentAt?: unknown } =>
  typeof value === 'object' && value !== null && 'batch' in value && Array.isArray(value.batch)
