import { mkdirSync, writeFileSync } from 'node:fs'
import { availableParallelism, cpus, totalmem } from 'node:os'
import { join } from 'node:path'
import type { Row } from './measure.ts'

const whole = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 })
const fine = new Intl.NumberFormat('en-US', { maximumFractionDigits: 1, minimumFractionDigits: 1 })

const COLUMNS: [title: string, cell: (row: Row) => string][] = [
  ['case', ({ name }) => name],
  ['bare route ev/s', ({ ceilingPerSecond }) => whole.format(ceilingPerSecond)],
  ['accepted ev/s', ({ acceptedPerSecond }) => whole.format(acceptedPerSecond)],
  ['share', ({ shareOfCeiling }) => shareOfCeiling.toFixed(2)],
  ['stored ev/s', ({ storedPerSecond }) => whole.format(storedPerSecond)],
  ['ack p50/p99 ms', ({ ackP50Ms, ackP99Ms }) => `${fine.format(ackP50Ms)} / ${fine.format(ackP99Ms)}`],
  [
    'queryable p50/p99 ms',
    ({ queryableP50Ms, queryableP99Ms }) => `${whole.format(queryableP50Ms)} / ${whole.format(queryableP99Ms)}`,
  ],
  [
    'CPU µs/event api+redis+clickhouse+sink',
    ({ cpuMicrosPerEvent: { api, redis, clickhouse, sink, total } }) =>
      `${[api, redis, clickhouse, sink].map((part) => fine.format(part)).join(' + ')} = ${fine.format(total)}`,
  ],
  ['API MB', ({ rssMaxMb }) => whole.format(rssMaxMb)],
  ['errors', ({ errors }) => whole.format(errors)],
]

/** The rows as a Markdown table, which reads well in a terminal too. */
export function tableOf(rows: readonly Row[]): string {
  const cells = [COLUMNS.map(([title]) => title), ...rows.map((row) => COLUMNS.map(([, cell]) => cell(row)))]
  const widths = COLUMNS.map((_, column) => Math.max(...cells.map((line) => line[column]?.length ?? 0)))
  const line = (texts: string[]) => `| ${texts.map((text, column) => text.padEnd(widths[column] ?? 0)).join(' | ')} |`
  const rule = `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`
  return [line(cells[0] ?? []), rule, ...cells.slice(1).map(line)].join('\n')
}

const EXPLANATION = `Accepted: admitted and on disk, while the sink is held, as if it ran on another machine; share: of what a bare Fastify route takes
that only parses and validates the same bodies. Stored: sustained with everything on this machine, the load generator included, until the
last event was queryable. Latencies are at half of that rate, in an open loop; queryable counts from the acknowledgement. CPU is that of the
stored run, every process from the first send until everything is queryable, without the generator.`

/** Writes `bench/latest.json` and `bench/latest.md` into the data directory; returns the folder. */
export function writeReport(rows: readonly Row[], dataDirectory: string): string {
  const folder = join(dataDirectory, 'bench')
  mkdirSync(folder, { recursive: true })
  const machine = {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: availableParallelism(),
    memoryGb: Math.round(totalmem() / 2 ** 30),
    node: process.version,
  }
  const measuredAt = new Date().toISOString()
  writeFileSync(join(folder, 'latest.json'), `${JSON.stringify({ measuredAt, machine, rows }, null, 2)}\n`)
  const where = `${measuredAt} · ${machine.cores} × ${machine.cpu} · ${machine.memoryGb} GB · Node ${machine.node}`
  writeFileSync(join(folder, 'latest.md'), `# Ingestion benchmark\n\n${where}\n\n${tableOf(rows)}\n\n${EXPLANATION}\n`)
  return folder
}
