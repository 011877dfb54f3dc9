import type { Problem } from '../../errors.ts'
import { type RateLimit, rateLimitHeaders } from '../../http/rate-limits.ts'
import type { Admission } from './admit.ts'
import { ingestionStopped, quotaExceeded } from './errors.ts'
import { type QuotaState, refusalOf } from './quota-state.ts'

/** Whoever is paused may go on at any moment. */
const PAUSED_RETRY_SECONDS = 300

/** The Problem of a request of which the quota takes nothing. Its sender may come back when the next period begins. */
export function quotaRefused(quota: QuotaState): Problem {
  const reason = refusalOf(quota)
  if (reason === 'paused' || reason === 'canceled') {
    const detail = `The subscription of the organization is ${reason}, so that no events are taken.`
    return ingestionStopped(detail, { headers: { 'retry-after': String(PAUSED_RETRY_SECONDS) } })
  }
  const { limit, endsAtMs } = quota.period ?? { limit: null, endsAtMs: Date.now() }
  const seconds = secondsUntil(endsAtMs)
  const detail = `All ${limit ?? 0} events of the billing period are used. The next one begins in ${seconds} s.`
  return quotaExceeded(detail, { headers: { 'retry-after': String(seconds), ...rateLimitHeaders(quotaLimits(quota)) } })
}

/** What holds for whoever has sent events: the burst limit, and the quota where there is one. */
export function limitsOf({ burst, quota }: Pick<Admission, 'burst' | 'quota'>): RateLimit[] {
  const { limit, remaining, resetMs } = burst
  const resetSeconds = Math.max(0, Math.ceil(resetMs / 1000))
  return [{ policy: 'burst', quota: limit, windowSeconds: 1, remaining, resetSeconds }, ...quotaLimits(quota)]
}

function quotaLimits(quota: QuotaState | null): RateLimit[] {
  if (!quota?.period || quota.period.limit === null) return []
  const { limit, startsAtMs, endsAtMs } = quota.period
  return [
    {
      policy: 'quota',
      quota: limit,
      windowSeconds: Math.round((endsAtMs - startsAtMs) / 1000),
      remaining: limit - quota.used,
      resetSeconds: secondsUntil(endsAtMs),
    },
  ]
}

const secondsUntil = (ms: number) => Math.max(1, Math.ceil((ms - Date.now()) / 1000))
