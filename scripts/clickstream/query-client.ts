import { setTimeout as sleep } from 'node:timers/promises'
import { backoffMs, retryAfterMs } from './delivery.ts'

export interface TrendFilter {
  field: string
  operator: 'eq'
  value: string
}

export interface TrendQuery {
  kind: 'trend'
  from: string
  to: string
  interval: 'day' | 'month'
  series: { event?: string; math: 'count' | 'uniqueUsers' | 'sum'; property?: string; filters?: TrendFilter[] }[]
  breakdown?: string[]
  limit?: number
}

export interface TrendAnswer {
  data: {
    series: number
    breakdown: Record<string, string | number | boolean | null> | null
    total: number
    points: { time: string; value: number }[]
  }[]
  meta: { elapsedMs: number; rowsRead: number; cached: boolean; completeThrough: string }
}

export interface TimedAnswer {
  answer: TrendAnswer
  /** From sending the request to having read the whole answer. */
  elapsedMs: number
}

export type AskTrend = (query: TrendQuery) => Promise<TimedAnswer>

const TRIES_MAX = 20

/** Asks `POST /v1/projects/{projectId}/query`. Answers that say "later" are asked again, and only the last try is timed. */
export function createTrendClient(target: { url: string; key: string; projectId: string }): AskTrend {
  const { url, key, projectId } = target
  const route = new URL(`/v1/projects/${projectId}/query`, url)
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' }
  return async (query) => {
    for (let attempt = 0; ; attempt++) {
      const startedAtMs = performance.now()
      const response = await fetch(route, { method: 'POST', headers, body: JSON.stringify(query), redirect: 'error' })
      const text = await response.text()
      const elapsedMs = performance.now() - startedAtMs
      if (response.ok) return { answer: readAnswer(text), elapsedMs }
      const isBusy = response.status === 429 || response.status === 503
      if (!isBusy || attempt === TRIES_MAX) {
        throw new Error(`POST ${route.pathname} answered ${response.status}: ${text.slice(0, 500)}`)
      }
      await sleep(retryAfterMs(response.headers) ?? backoffMs(attempt))
    }
  }
}

function readAnswer(text: string): TrendAnswer {
  const answer = JSON.parse(text) as Partial<TrendAnswer>
  if (!Array.isArray(answer.data) || !answer.meta)
    throw new Error(`The answer lacks data or meta: ${text.slice(0, 200)}`)
  return answer as TrendAnswer
}
