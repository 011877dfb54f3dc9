// npm run bench: how many events this machine takes, and what each costs, against a bare route on the same machine in the same run.
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Case, measure, type Row } from './measure.ts'
import { tableOf, writeReport } from './report.ts'
import { startStack } from './stack.ts'

const CASES: Case[] = [
  { name: '1 event', eventsPerRequest: 1, encoding: 'json', connections: 256 },
  { name: '1 event, gzip', eventsPerRequest: 1, encoding: 'gzip', connections: 256 },
  { name: '100 events', eventsPerRequest: 100, encoding: 'json', connections: 32 },
  { name: '100 events, gzip', eventsPerRequest: 100, encoding: 'gzip', connections: 32 },
  { name: '1,000 events', eventsPerRequest: 1000, encoding: 'json', connections: 8 },
  { name: '1,000 events, gzip', eventsPerRequest: 1000, encoding: 'gzip', connections: 8 },
]

/** Names of cases, or parts of them, limit the run to those. */
const wanted = process.argv.slice(2)
const cases = CASES.filter(({ name }) => wanted.length === 0 || wanted.includes(name))
if (cases.length === 0) {
  console.error(`There is no such case. Cases: ${CASES.map(({ name }) => `"${name}"`).join(', ')}`)
  process.exit(1)
}

const root = fileURLToPath(new URL('../..', import.meta.url))
const dataDirectory = resolve(root, process.env.METERHOUSE_DATA || '.data')
const startedAt = performance.now()
const stack = await startStack()
const interrupted = () => void stack.stop().finally(() => process.exit(130))
process.once('SIGINT', interrupted)
process.once('SIGTERM', interrupted)
try {
  const rows: Row[] = []
  for (const one of cases) {
    console.log(`Measuring: ${one.name} per request (about 30 s)`)
    rows.push(await measure(stack, one))
  }
  console.log(`\n${tableOf(rows)}\n`)
  const folder = writeReport(rows, dataDirectory)
  console.log(
    `${Math.round((performance.now() - startedAt) / 1000)} s. The report is in ${folder}: latest.md, latest.json`,
  )
  if (rows.some(({ errors }) => errors > 0)) {
    console.error('Some requests were not answered with 202.')
    process.exitCode = 1
  }
} finally {
  await stack.stop()
}
process.exit()
