import type { Static, TSchema } from '@sinclair/typebox'
import type { FieldError } from '../../errors.ts'
import type { ProjectScope } from '../../http/access.ts'
import type { QueryMeta } from '../../http/schemas.ts'
import type { ClickHouse } from '../../infra/clickhouse.ts'
import * as catalog from './catalog.ts'
import type {
  EventNamesAnswer,
  EventNamesQuery,
  PropertiesAnswer,
  PropertiesQuery,
  ValuesAnswer,
  ValuesQuery,
} from './catalog-schemas.ts'
import { refuseFaults } from './errors.ts'
import { explorerAnswer, explorerStatement, explorerWindows, planExplorer } from './explorer.ts'
import type { EventsAnswer, EventsQuery } from './explorer-schemas.ts'
import type { EventRow } from './queries.ts'
import type { TrendAnswer, TrendQuery, UsageAnswer, UsageQuery } from './schemas.ts'
import { daysUntil, growingWindows, readOpenSpan } from './spans.ts'
import { planTrend } from './trend.ts'
import { trendAnswer } from './trend-answer.ts'
import { trendStatement } from './trend-statement.ts'

interface InsightsDependencies {
  clickhouse: Pick<ClickHouse, 'query'>
  /** Up to when every acknowledged event of the project can be queried. */
  completeThrough: (scope: ProjectScope) => Promise<Date>
  now?: () => number
}

export type InsightsService = ReturnType<typeof createInsightsService>

/** Everything that is read from the events of one project. What is not valid is refused before the event store is asked. */
export function createInsightsService({ clickhouse, completeThrough, now = Date.now }: InsightsDependencies) {
  /** Begins the meta of an answer, before its first statement: read later, the time would promise more than the statement saw. */
  async function begin(scope: ProjectScope): Promise<QueryMeta> {
    const complete = await completeThrough(scope)
    return { elapsedMs: 0, rowsRead: 0, cached: false, completeThrough: complete.toISOString() }
  }

  async function run<S extends TSchema>(
    scope: ProjectScope,
    statement: Statement<S>,
    meta: QueryMeta,
  ): Promise<Static<S>[]> {
    const { rows, stats } = await clickhouse.query(scope, statement)
    meta.elapsedMs += stats.elapsedMs
    meta.rowsRead += stats.rowsRead
    return rows
  }

  async function trend(scope: ProjectScope, query: TrendQuery, path?: string): Promise<TrendAnswer> {
    const plan = planTrend(query, path)
    const meta = await begin(scope)
    return { ...trendAnswer(plan, await run(scope, trendStatement(plan), meta)), meta }
  }

  return {
    trend,

    /** Events by their timestamp in UTC. It is a trend, so a chart and a bill cannot disagree. */
    async usage(scope: ProjectScope, { interval = 'day', ...range }: UsageQuery): Promise<UsageAnswer> {
      const faults: FieldError[] = []
      const span = readOpenSpan(range, '/querystring', faults, daysUntil(now()))
      refuseFaults(faults)
      const count: TrendQuery = {
        kind: 'trend',
        from: span.fromMs,
        to: span.toMs,
        interval,
        series: [{ math: 'count' }],
      }
      const { data, meta } = await trend(scope, count, '/querystring')
      const quantity = (events: number | null | undefined) => ({ events: events ?? 0, billable: events ?? 0 })
      return {
        data: (data[0]?.points ?? []).map(({ time, value }) => ({ time, ...quantity(value) })),
        total: quantity(data[0]?.total),
        completeThrough: meta.completeThrough,
        meta,
      }
    },

    async events(scope: ProjectScope, query: EventsQuery): Promise<EventsAnswer> {
      const plan = planExplorer(query)
      const meta = await begin(scope)
      let rows: Static<typeof EventRow>[] = []
      for (const window of explorerWindows(plan, now())) {
        rows = await run(scope, explorerStatement(plan, window), meta)
        if (rows.length > plan.limit) break
      }
      return { ...explorerAnswer(plan, rows), meta }
    },

    async eventNames(scope: ProjectScope, query: EventNamesQuery): Promise<EventNamesAnswer> {
      const statement = catalog.eventNamesStatement(query, now())
      const meta = await begin(scope)
      return { data: catalog.eventNamesAnswer(await run(scope, statement, meta)), meta }
    },

    async properties(scope: ProjectScope, query: PropertiesQuery): Promise<PropertiesAnswer> {
      const span = catalog.recentSpan(query, now())
      const meta = await begin(scope)
      let answer: Omit<PropertiesAnswer, 'meta'> = { data: [], sampled: 0 }
      for (const window of growingWindows(span, Math.min(span.toMs, now()))) {
        answer = catalog.propertiesAnswer(query, await run(scope, catalog.propertiesStatement(query, window), meta))
        if (answer.sampled === catalog.SAMPLE_EVENTS) break
      }
      return { ...answer, meta }
    },

    async values(scope: ProjectScope, query: ValuesQuery): Promise<ValuesAnswer> {
      const statement = catalog.valuesStatement(query, now())
      const meta = await begin(scope)
      return { data: catalog.valuesAnswer(statement.kind, await run(scope, statement, meta)), meta }
    },
  }
}

interface Statement<S extends TSchema> {
  sql: string
  params: Record<string, unknown>
  schema: S
}
