import type { Static } from '@sinclair/typebox'
import type { Redis } from 'ioredis'
import { type FieldError, invalidRequest } from '../../errors.ts'
import type { ProjectScope } from '../../http/access.ts'
import { type TimeInput, timeToMs } from '../../http/schemas.ts'
import type { ClickHouse } from '../../infra/clickhouse.ts'
import { readOutcomes } from '../events/index.ts'
import { receivedDaysStatement } from './queries.ts'
import { DAY_MS } from './recount.ts'
import type { IngestionAnswer, IngestionQuery } from './schemas.ts'

interface IngestionDependencies {
  redis: Redis
  shards: number
  clickhouse: Pick<ClickHouse, 'query'>
  completeThrough: (scope: ProjectScope) => Promise<Date>
  now?: () => number
}

export type Ingestion = ReturnType<typeof createIngestion>

const DAYS_MAX = 92
const DAYS_BY_DEFAULT = 7
const LATEST_MS = Date.UTC(2100, 0)

/** Tells a project what became of everything that was sent to it, by day of receipt. */
export function createIngestion({ redis, shards, clickhouse, completeThrough, now = Date.now }: IngestionDependencies) {
  return async (scope: ProjectScope, query: IngestionQuery): Promise<IngestionAnswer> => {
    const span = readDays(query, now())
    const complete = await completeThrough(scope)
    const lagMs = Math.max(0, now() - complete.getTime())
    const [outcomes, { rows, stats }] = await Promise.all([
      readOutcomes(redis, shards, scope, span),
      clickhouse.query(scope, receivedDaysStatement(span.fromMs, span.toMs)),
    ])
    const stored = new Map(rows.map(({ day, events }) => [day, events]))
    return {
      data: [...outcomes].map(([day, counts]) => ({ day, ...toDay(counts), stored: stored.get(day) ?? 0 })),
      lagSeconds: Math.floor(lagMs / 100) / 10,
      completeThrough: complete.toISOString(),
      meta: { ...stats, cached: false, completeThrough: complete.toISOString() },
    }
  }
}

const REJECTED = 'rejected:'

function toDay(counts: Record<string, number>) {
  const rejected = Object.entries(counts).flatMap(([outcome, n]) =>
    outcome.startsWith(REJECTED) ? [[outcome.slice(REJECTED.length), n]] : [],
  )
  return {
    accepted: counts.accepted ?? 0,
    duplicates: counts.duplicate ?? 0,
    conflicts: counts.conflict ?? 0,
    rejected: Object.fromEntries(rejected) as Record<string, number>,
    burstRefused: counts.burstRefused ?? 0,
    quotaExceeded: counts.quotaExceeded ?? 0,
    held: counts.held ?? 0,
    sampledOut: counts.sampledOut ?? 0,
    quarantined: counts.quarantined ?? 0,
    deadLetters: counts.deadLetter ?? 0,
  }
}

/** The whole days, in UTC, that the query names. */
function readDays({ from, to }: IngestionQuery, nowMs: number): { fromMs: number; toMs: number } {
  const faults: FieldError[] = []
  const toMs = Math.ceil((to === undefined ? nowMs : readTime(to, '/querystring/to', faults)) / DAY_MS) * DAY_MS
  const fromMs =
    from === undefined ? toMs - DAYS_BY_DEFAULT * DAY_MS : startOfDay(readTime(from, '/querystring/from', faults))
  if (fromMs >= toMs) faults.push({ path: '/querystring/to', message: 'must be after from' })
  if (toMs - fromMs > DAYS_MAX * DAY_MS)
    faults.push({ path: '/querystring/from', message: `may be at most ${DAYS_MAX} days before to` })
  const [first] = faults
  if (first) throw invalidRequest(`${first.path} ${first.message}.`, { errors: faults })
  return { fromMs, toMs }
}

const startOfDay = (ms: number) => Math.floor(ms / DAY_MS) * DAY_MS

function readTime(time: Static<typeof TimeInput>, path: string, faults: FieldError[]): number {
  const ms = timeToMs(time)
  if (Number.isNaN(ms)) faults.push({ path, message: 'is not a date that exists' })
  else if (ms < 0 || ms > LATEST_MS) faults.push({ path, message: 'must lie between 1970 and 2100' })
  return ms
}
