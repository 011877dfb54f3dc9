import { deliver, type Receipt } from './delivery.ts'
import { describe } from './describe.ts'
import { generate } from './generate.ts'
import { counted, createLedger, type Ledger } from './ledger.ts'
import { type Options, readOptions, readTarget, type Target, USAGE } from './options.ts'
import { runOf, type StreamPlan } from './plan.ts'
import { createProgress } from './progress.ts'
import { type AskTrend, createTrendClient } from './query-client.ts'
import { findStream, waitUntilComplete } from './stored-stream.ts'
import { verify } from './verify.ts'

const number = new Intl.NumberFormat('en-US')

try {
  process.exitCode = (await main(readOptions(process.argv.slice(2), Date.now()))) ? 0 : 1
} catch (error) {
  console.error((error as Error).message)
  process.exitCode = 1
}

/** Resolves to whether everything was as it should be. */
async function main(options: Options): Promise<boolean> {
  if (options.mode === 'help') {
    console.log(USAGE)
    return true
  }
  if (options.mode === 'describe') {
    const ledger = createLedger()
    console.log(describe(counted(generate(options.plan), ledger), ledger))
    return true
  }
  const target = readTarget(options, process.env.METERHOUSE_DATA ?? '.data')
  const ask = target.reading && createTrendClient({ url: target.url, ...target.reading })
  if (options.mode === 'load') return load(options, target, ask)
  if (!ask) throw new Error('--verify-only needs --api-key and --project')
  const plan = options.hasUntil ? options.plan : await findStream(ask, Date.now())
  if (!plan)
    throw new Error('The project holds no generated stream yet: run npm run load first, or name one with --until')
  return check(plan, ledgerOf(plan), ask)
}

async function load({ plan, concurrency }: Options, target: Target, ask: AskTrend | undefined): Promise<boolean> {
  const until = new Date(plan.untilMs).toISOString()
  console.log(`Sending ${number.format(plan.events)} events by ${number.format(plan.users)} people to ${target.url}`)
  console.log(`To send exactly these again, add --until ${until}: what has arrived counts as a duplicate.\n`)
  const ledger = createLedger()
  const progress = createProgress(plan.events, process.stdout)
  const startedAtMs = performance.now()
  const receipt = await deliver(counted(generate(plan), ledger), {
    url: target.url,
    key: target.writeKey,
    concurrency,
    onProgress: (so) => progress.update(doneOf(so)),
  })
  progress.finish(doneOf(receipt))
  report(receipt, performance.now() - startedAtMs)
  if (!ask) {
    console.log('\nNot checked: that needs --api-key and --project.')
    return receipt.refused === 0
  }
  const waitedFromMs = performance.now()
  // The server's Date header drops the fraction of the second in which the last body was acknowledged.
  const endMs = receipt.finishedAtMs + 1000
  await waitUntilComplete(plan, endMs, ask, {
    onWait: (reachedMs) => console.log(`  the queries lack the last ${seconds(endMs - reachedMs)} of the import`),
  })
  console.log(`Everything readable ${seconds(performance.now() - waitedFromMs)} after the last answer.`)
  return (await check(plan, ledger, ask)) && receipt.refused === 0
}

function doneOf({ accepted, duplicates, refused }: Receipt): number {
  return accepted + duplicates + refused
}

function report(receipt: Receipt, elapsedMs: number): void {
  const { accepted, duplicates, refused, refusals, retries, lastRetry, bytes } = receipt
  const rate = number.format(Math.round((accepted + duplicates) / (elapsedMs / 1000)))
  console.log(
    `\n${number.format(accepted)} accepted, ${number.format(duplicates)} duplicates, ${number.format(refused)} refused`,
  )
  console.log(
    `in ${seconds(elapsedMs)}: ${rate} events/s, ${(bytes / 1e6).toFixed(1)} MB compressed, ${retries} retries`,
  )
  if (retries > 0) console.log(`  the last retry was due to: ${lastRetry}`)
  for (const refusal of refusals) console.log(`  refused: ${refusal}`)
}

function ledgerOf(plan: StreamPlan): Ledger {
  console.log(`Generating ${runOf(plan)} again to count it`)
  const ledger = createLedger()
  for (const _ of counted(generate(plan), ledger));
  return ledger
}

async function check(plan: StreamPlan, ledger: Ledger, ask: AskTrend): Promise<boolean> {
  console.log('\nAsking every query once to check it and 11 times to time it\n')
  printRow('query', 'exact', 'median', 'p95')
  const differences: string[] = []
  let cached = false
  for await (const result of verify(plan, ledger, ask)) {
    printRow(result.query, result.exact, `${result.medianMs.toFixed(1)} ms`, `${result.p95Ms.toFixed(1)} ms`)
    if (result.difference) differences.push(`${result.query} differs: ${result.difference}`)
    cached ||= result.cached
  }
  if (cached) console.log('\nSome answers came from a cache of the server.')
  if (differences.length === 0) console.log('\nAll answers about this stream are exact; revenue is compared in cents.')
  else console.log(`\n${differences.join('\n')}`)
  return differences.length === 0
}

function printRow(query: string, exact: string, median: string, p95: string): void {
  console.log(`${query.padEnd(46)}  ${exact.padEnd(10)}  ${median.padStart(10)}  ${p95.padStart(10)}`)
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`
}
