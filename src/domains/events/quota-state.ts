import { readFileSync } from 'node:fs'

/** What becomes of events beyond the limit: refused, taken all the same, kept back, or one of ten taken. */
export type QuotaMode = 'hard' | 'soft' | 'hold' | 'sample'

/** One billing period as the door needs it. Two periods of an organization never begin at the same time. */
export interface QuotaPeriod {
  periodId: string
  startsAtMs: number
  endsAtMs: number
  /** Events in the period; null has no limit. */
  limit: bigint | null
  mode: QuotaMode
  /** In place of the burst limit of the platform; null where the plan has none. */
  eventsPerSecond: number | null
}

/** What the door is to do with the events of an organization. */
export interface QuotaPolicy {
  organizationId: string
  /** Why nothing is taken at all. */
  stopped: null | 'paused' | 'canceled'
  current: QuotaPeriod
  /** Begins by itself when the current one ends. */
  next: QuotaPeriod | null
}

/** The quota of an organization at one moment. */
export interface QuotaState {
  used: number
  stopped: '' | 'paused' | 'canceled'
  /** Null where no period is known, so that there is no limit. */
  period: (Omit<QuotaPeriod, 'limit'> & { limit: number | null }) | null
}

const LUA = readFileSync(new URL('quota.lua', import.meta.url), 'utf8')

/** A script that may use what quota.lua defines. */
export const withQuotaLua = (script: string): string => `${LUA}\n${script}`

/** Numbers of Redis are exact up to here, and nobody sends more events. */
const LIMIT_MAX = BigInt(Number.MAX_SAFE_INTEGER)

/** The period as quota.lua reads it. */
export function periodText(period: QuotaPeriod): string {
  const { periodId, startsAtMs, endsAtMs, limit, mode, eventsPerSecond } = period
  const limitText = limit === null || limit > LIMIT_MAX ? '' : String(limit)
  return [periodId, startsAtMs, endsAtMs, limitText, mode, eventsPerSecond ?? ''].join('|')
}

/** Inverse of quotaText in quota.lua. */
export function quotaStateOf(text: string): QuotaState | null {
  if (text === '') return null
  const [used, stopped, periodId = '', startsAtMs, endsAtMs, limit, mode, rate] = text.split('|')
  const period = {
    periodId,
    startsAtMs: Number(startsAtMs),
    endsAtMs: Number(endsAtMs),
    limit: limit === '' ? null : Number(limit),
    mode: mode as QuotaMode,
    eventsPerSecond: rate === '' ? null : Number(rate),
  }
  return {
    used: Number(used),
    stopped: stopped as QuotaState['stopped'],
    period: startsAtMs === undefined ? null : period,
  }
}

/** Why no news is taken at the moment; undefined while it is. */
export function refusalOf({ used, stopped, period }: QuotaState): 'paused' | 'canceled' | 'used up' | undefined {
  if (stopped !== '') return stopped
  return period?.mode === 'hard' && period.limit !== null && used >= period.limit ? 'used up' : undefined
}
