import { Agent, request } from 'node:http'
import type { TrafficBatch } from './batch.ts'
import type { TrafficPlan } from './generator.ts'
import type { Ledger, Outcome, SendReason } from './ledger.ts'

const TIMEOUT_MS = 5000
/** A longer wish of the server's is shortened to this, so that a campaign ends. */
const RETRY_AFTER_MAX_MS = 15_000
const LETTERS: Record<string, string> = { accepted: 'a', duplicate: 'd', rejected: 'r', quarantined: 'q' }

export interface Sent {
  final: boolean
  retryAfterMs: number
}

export type Sender = ReturnType<typeof createSender>

/** Sends batches, each send and each answer on disk in the ledger before the caller hears of it. */
export function createSender({ apis, organizations }: TrafficPlan, ledger: Ledger) {
  const agents = apis.map(() => new Agent({ keepAlive: true, maxSockets: 64 }))
  const answers: Record<string, number> = {}
  let refusalsWithoutRetryAfter = 0

  async function send(batch: TrafficBatch, why: SendReason, api: number): Promise<Sent> {
    const sentMs = Date.now()
    await ledger.write({ kind: 'send', batch: batch.number, why, api, atMs: sentMs })
    const { outcome, retryAfterMs } = await exchange(batch, api)
    await ledger.write({ kind: 'answer', batch: batch.number, api, why, outcome, sentMs, atMs: Date.now() })
    const label = 'verdicts' in outcome ? '202' : outcome.code
    answers[label] = (answers[label] ?? 0) + 1
    return { final: 'verdicts' in outcome || outcome.final, retryAfterMs }
  }

  function exchange(batch: TrafficBatch, api: number): Promise<{ outcome: Outcome; retryAfterMs: number }> {
    const doubt = (code: string) => ({
      outcome: { status: 0, final: false as const, code, retryAfter: false },
      retryAfterMs: 0,
    })
    return new Promise((resolve) => {
      const call = request(
        `${apis[api]}/v1/events`,
        {
          method: 'POST',
          agent: agents[api],
          headers: {
            authorization: `Bearer ${organizations[batch.organization]?.writeKey}`,
            'content-type': 'application/json',
            'content-length': batch.body.length,
          },
        },
        (answer) => {
          const chunks: Buffer[] = []
          answer.on('data', (chunk: Buffer) => chunks.push(chunk))
          answer.once('error', () => resolve(doubt('answer cut')))
          answer.once('end', () => {
            clearTimeout(timer)
            if (!answer.complete) return resolve(doubt('answer cut'))
            resolve(read(answer.statusCode ?? 0, answer.headers['retry-after'], Buffer.concat(chunks)))
          })
        },
      )
      const timer = setTimeout(() => call.destroy(new Error('timeout')), TIMEOUT_MS)
      call.once('error', (error: NodeJS.ErrnoException) => {
        clearTimeout(timer)
        resolve(doubt(error.code ?? error.message))
      })
      call.end(batch.body)
    })
  }

  function read(status: number, retryAfter: string | undefined, body: Buffer) {
    const answer = JSON.parse(body.toString()) as { code?: string; results?: { status: string }[] }
    if (status === 202) {
      const verdicts = (answer.results ?? []).map((result) => LETTERS[result.status] ?? '?').join('')
      return { outcome: { status: 202 as const, verdicts }, retryAfterMs: 0 }
    }
    const final = status >= 400 && status < 500 && status !== 408 && status !== 429
    const mustWait = status === 429 || status === 503
    if (mustWait && retryAfter === undefined) refusalsWithoutRetryAfter += 1
    const code = `${status} ${answer.code ?? ''}`
    const retryAfterMs = Math.min(Number(retryAfter ?? 0) * 1000, RETRY_AFTER_MAX_MS)
    const outcome: Outcome = final
      ? { status, final, code }
      : { status, final, code, retryAfter: retryAfter !== undefined }
    return { outcome, retryAfterMs }
  }

  return Object.assign(send, { answers, refusalsWithoutRetryAfter: () => refusalsWithoutRetryAfter })
}
