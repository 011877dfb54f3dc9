import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import type { ClickstreamEvent } from './event.ts'

const compress = promisify(gzip)

export interface DeliveryOptions {
  url: string
  key: string
  concurrency?: number
  eventsPerBody?: number
  /** How long nothing at all may be accepted before the load gives up. */
  patienceMs?: number
  onProgress?: (receipt: Receipt) => void
}

/** The server's verdicts added up. `refused` were neither accepted nor duplicates; a few of them are kept as examples. */
export interface Receipt {
  accepted: number
  duplicates: number
  refused: number
  refusals: string[]
  retries: number
  /** Why a body had to be sent again, the last time. */
  lastRetry: string
  /** Compressed bytes on the wire, repetitions included. */
  bytes: number
  /** The server's clock when it gave the last verdict. */
  finishedAtMs: number
}

/**
 * Sends every event through `POST /v1/events`. Guarantee: when it returns, each event has a verdict. A body whose answer was lost
 * or was "later" is sent again as it was, messageIds included, so the server can tell that it has them. At most `concurrency`
 * bodies are held at a time: the events are pulled from the iterable as fast as the server takes them.
 */
export async function deliver(events: Iterable<ClickstreamEvent>, options: DeliveryOptions): Promise<Receipt> {
  const { concurrency = 4, eventsPerBody = 2000, onProgress } = options
  const receipt = {
    accepted: 0,
    duplicates: 0,
    refused: 0,
    refusals: [],
    retries: 0,
    lastRetry: '',
    bytes: 0,
    finishedAtMs: 0,
  }
  const source = events[Symbol.iterator]()
  const failed = new AbortController()
  const line: Line = { ...options, receipt, stop: failed.signal, quietUntilMs: 0, lastVerdictMs: Date.now() }

  const work = async () => {
    for (let body = takeBody(source, eventsPerBody); body.count > 0; body = takeBody(source, eventsPerBody)) {
      await sendBody(line, await compress(body.text, { level: 1 }), body.count)
      onProgress?.(receipt)
    }
  }
  const guarded = async () => {
    try {
      await work()
    } catch (error) {
      // The first failure stops the other workers; theirs are its consequence.
      failed.abort(error)
    }
  }
  await Promise.all(Array.from({ length: concurrency }, guarded))
  failed.signal.throwIfAborted()
  return receipt
}

/** What the workers share: a server that says "later" to one of them says it to all. */
interface Line extends DeliveryOptions {
  receipt: Receipt
  stop: AbortSignal
  quietUntilMs: number
  lastVerdictMs: number
}

function takeBody(source: Iterator<ClickstreamEvent>, size: number): { text: string; count: number } {
  let text = ''
  let count = 0
  while (count < size) {
    const next = source.next()
    if (next.done) break
    text += `${JSON.stringify(next.value)}\n`
    count++
  }
  return { text, count }
}

async function sendBody(line: Line, body: Uint8Array<ArrayBuffer>, count: number): Promise<void> {
  const { receipt, stop, patienceMs = 300_000 } = line
  for (let attempt = 0; ; attempt++) {
    // Another worker may have moved the end of the quiet time meanwhile.
    while (line.quietUntilMs > Date.now()) await sleep(line.quietUntilMs - Date.now(), undefined, { signal: stop })
    stop.throwIfAborted()
    receipt.bytes += body.length
    const answer = await post(line, body)
    if (answer.kind === 'verdicts') {
      addVerdicts(receipt, answer, count)
      line.lastVerdictMs = Date.now()
      return
    }
    receipt.retries++
    receipt.lastRetry = answer.reason
    const waitMs = answer.waitMs ?? backoffMs(attempt)
    if (Date.now() + waitMs - line.lastVerdictMs > patienceMs) {
      throw new Error(
        `Nothing was accepted for ${Math.round(patienceMs / 1000)} s; the last answer was: ${answer.reason}`,
      )
    }
    line.quietUntilMs = Math.max(line.quietUntilMs, Date.now() + waitMs)
  }
}

interface Verdicts {
  kind: 'verdicts'
  accepted: number
  duplicates: number
  results: { messageId?: string; status?: string; code?: string; message?: string }[]
  atMs: number
}
type Answer = Verdicts | { kind: 'later'; reason: string; waitMs: number | undefined }

const TRY_AGAIN = new Set([408, 429, 500, 502, 503, 504])

async function post({ url, key, stop }: Line, body: Uint8Array<ArrayBuffer>): Promise<Answer> {
  let response: Response
  let text: string
  try {
    response = await fetch(new URL('/v1/events', url), {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/x-ndjson', 'content-encoding': 'gzip' },
      body,
      redirect: 'error',
      signal: AbortSignal.any([stop, AbortSignal.timeout(60_000)]),
    })
    text = await response.text()
  } catch (error) {
    stop.throwIfAborted()
    // Whether the body arrived is unknown. Sending it again is safe: the messageIds stay.
    return { kind: 'later', reason: reasonOf(error), waitMs: undefined }
  }
  if (response.status === 202) return readVerdicts(text, response.headers)
  const reason = `${response.status} ${text.slice(0, 500)}`
  if (!TRY_AGAIN.has(response.status)) throw new Error(`POST ${url}/v1/events was refused: ${reason}`)
  return { kind: 'later', reason, waitMs: retryAfterMs(response.headers) }
}

function readVerdicts(text: string, headers: Headers): Verdicts {
  const { accepted, duplicates, results } = JSON.parse(text) as Partial<Verdicts>
  if (typeof accepted !== 'number' || typeof duplicates !== 'number' || !Array.isArray(results)) {
    throw new Error(`A 202 answer lacks accepted, duplicates or results: ${text.slice(0, 200)}`)
  }
  return { kind: 'verdicts', accepted, duplicates, results, atMs: Date.parse(headers.get('date') ?? '') || Date.now() }
}

function addVerdicts(receipt: Receipt, { accepted, duplicates, results, atMs }: Verdicts, count: number): void {
  receipt.accepted += accepted
  receipt.duplicates += duplicates
  receipt.refused += count - accepted - duplicates
  receipt.finishedAtMs = Math.max(receipt.finishedAtMs, atMs)
  for (const { messageId, status, code, message } of results) {
    if (receipt.refusals.length >= 5) return
    if (status === 'rejected' || status === 'quarantined')
      receipt.refusals.push(`${messageId} ${status}: ${code} ${message}`)
  }
}

/** `Retry-After` as RFC 9110 has it: seconds, or a date. */
export function retryAfterMs(headers: Headers): number | undefined {
  const value = headers.get('retry-after')
  if (value === null) return undefined
  if (/^\d+$/.test(value)) return Number(value) * 1000
  const dateMs = Date.parse(value)
  return Number.isNaN(dateMs) ? undefined : Math.max(0, dateMs - Date.now())
}

/** 0.2 s, doubled each time up to 10 s, less up to a half at random so that workers do not come back as a crowd. */
export function backoffMs(attempt: number): number {
  return Math.min(10_000, 200 * 2 ** attempt) * (1 - Math.random() / 2)
}

function reasonOf(error: unknown): string {
  const { message, cause } = error as Error
  return cause instanceof Error ? `${message} (${cause.message})` : message
}
