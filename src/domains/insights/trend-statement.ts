import { toRuns } from './buckets.ts'
import { compileConditions, groupText, jsonNumber, mayHave } from './filters.ts'
import { createParameters, type Parameters } from './parameters.ts'
import { eventsOfProject, TrendRow } from './queries.ts'
import type { MathName } from './schemas.ts'
import type { BreakdownField, SeriesPlan, TrendPlan } from './trend.ts'

type Bind = Parameters['bind']

/** A math as a ClickHouse aggregate function and, for a quantile, its level. */
const AGGREGATES: Record<MathName, { name: string; level: string }> = {
  count: { name: 'count', level: '' },
  uniqueUsers: { name: 'uniqExact', level: '' },
  // Compensated, because the order of the additions differs from run to run.
  sum: { name: 'sumKahan', level: '' },
  avg: { name: 'avg', level: '' },
  min: { name: 'min', level: '' },
  max: { name: 'max', level: '' },
  p50: { name: 'quantileExactInclusive', level: '(0.5)' },
  p90: { name: 'quantileExactInclusive', level: '(0.9)' },
  p95: { name: 'quantileExactInclusive', level: '(0.95)' },
  p99: { name: 'quantileExactInclusive', level: '(0.99)' },
}

/**
 * The whole trend as one statement, with a branch per series that reads its events once. Inside, aggregate states per group and
 * bucket; outside, the states of a group merge into its total, so the total of unique users or of a percentile is that of the events
 * and not a sum of points. The buckets of the compared period are numbered after the current ones.
 */
export function trendStatement(plan: TrendPlan) {
  const { bind, values } = createParameters()
  const branches = plan.series.map((series, index) => `(${groupsSelect(plan, series, index, bind)})`)
  return { sql: branches.join('\nUNION ALL\n'), params: values, schema: TrendRow }
}

function groupsSelect(plan: TrendPlan, series: SeriesPlan, index: number, bind: Bind): string {
  const { name, level } = AGGREGATES[series.math]
  const currentBuckets = bind(plan.current.starts.length, 'UInt32')
  const [isCurrent, isPrevious] = [`bucket < ${currentBuckets}`, `bucket >= ${currentBuckets}`]
  const totalIf = (condition: string) => `toFloat64(${name}MergeIf${level}(state, ${condition}))`
  const keys = plan.breakdown.map((_, at) => `key${at}`)
  return `SELECT
  ${index} AS series,
  [${keys.map((key) => `toString(${key})`).join(', ')}]::Array(String) AS keys,
  count() OVER () AS groups,
  sumIf(counted, ${isCurrent}) AS rows,
  sumIf(counted, ${isPrevious}) AS previousRows,
  ${totalIf(isCurrent)} AS total,
  ${totalIf(isPrevious)} AS previousTotal,
  groupArray(bucket) AS buckets,
  groupArray(toFloat64(finalizeAggregation(state))) AS points
FROM (
${statesSelect(plan, series, bind)}
)
${keys.length > 0 ? `GROUP BY ${keys.join(', ')}` : ''}
ORDER BY rows = 0, total DESC, previousTotal DESC, keys
LIMIT ${bind(plan.groupsMax, 'UInt32')}`
}

/** The value that a row is grouped by. A JSON null is grouped with absence, and -0 with 0. */
function groupKey({ field }: BreakdownField, bind: Bind): string {
  const text = groupText(field, bind)
  return field.kind === 'json' ? `transform(${text}, ['null', '-0'], ['', '0'])` : text
}

function statesSelect(plan: TrendPlan, series: SeriesPlan, bind: Bind): string {
  const { name, level } = AGGREGATES[series.math]
  const counts = countedValue(series, bind)
  const keys = plan.breakdown.map((field, at) => `${groupKey(field, bind)} AS key${at}`)
  const conditions = [
    ...(series.event === undefined ? [] : [`event = ${bind(series.event, 'String')}`]),
    ...compileConditions(series.conditions, bind),
    ...(counts ? [counts.condition] : []),
  ]
  return `  SELECT ${[...keys, `${bucketIndex(plan, bind)} AS bucket`].join(', ')},
    ${name}State${level}(${counts?.value ?? ''}) AS state, count() AS counted
  ${eventsOfProject(spansOf(plan), conditions, bind)}
  GROUP BY ${[...keys.map((_, at) => `key${at}`), 'bucket'].join(', ')}`
}

/** What a math is of, and which events have it; undefined where every event counts. */
function countedValue({ math, property }: SeriesPlan, bind: Bind): { value: string; condition: string } | undefined {
  if (math === 'uniqueUsers') return { value: 'distinct_id', condition: "distinct_id != ''" }
  if (!property) return undefined
  const number = jsonNumber(property, bind)
  return { value: `assumeNotNull(${number})`, condition: `${mayHave(property, bind)} AND ${number} IS NOT NULL` }
}

const spansOf = ({ current, previous }: TrendPlan) => (previous ? [previous.span, current.span] : [current.span])

/** The number of a row's bucket, by arithmetic within the run of equal buckets that the row falls into. */
function bucketIndex({ current, previous }: TrendPlan, bind: Bind): string {
  const runs = [
    ...(previous ? toRuns(previous.starts, previous.span, current.starts.length) : []),
    ...toRuns(current.starts, current.span, 0),
  ]
  const [starts, steps, firsts] = (['startMs', 'stepMs', 'first'] as const).map((part) =>
    bind(
      runs.map((run) => run[part]),
      'Array(Int64)',
    ),
  )
  const run = `roundDown(${MS}, ${starts})`
  return `toUInt32(transform(${run}, ${starts}, ${firsts}) + intDiv(${MS} - ${run}, transform(${run}, ${starts}, ${steps})))`
}

const MS = 'toUnixTimestamp64Milli(occurred_at)'
