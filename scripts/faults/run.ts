import { join } from 'node:path'
import { createRandom } from '../clickstream/random.ts'
import { CAMPAIGNS, campaignOf, estimateMs } from './campaigns.ts'
import { conduct } from './conduct.ts'
import { runControls } from './controls.ts'
import { judgeOutcome } from './figures.ts'
import { type Options, readOptions, USAGE } from './options.ts'
import { asText, writeReport } from './report.ts'

const DATA_DIRECTORY = process.env.METERHOUSE_DATA ?? '.data'
const stopping = new AbortController()
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, stop)
process.on('disconnect', stop)

try {
  process.exitCode = (await main(readOptions(process.argv.slice(2)))) ? 0 : 1
} catch (error) {
  console.error(error instanceof Error && error.constructor === Error ? error.message : error)
  process.exitCode = 1
}
// The channel to the launcher would keep this process alive.
process.exit()

/** Resolves to whether everything was as it has to be. */
async function main(options: Options): Promise<boolean> {
  if (options.help) {
    console.log(USAGE)
    return true
  }
  if (options.controls) {
    return runControls(options.control, options.seed, DATA_DIRECTORY, stopping.signal)
  }
  return runCampaign(options)
}

async function runCampaign({ campaign, only, times, seed, rate }: Options): Promise<boolean> {
  const name = only.length > 0 ? `only ${only.join(', ')}` : campaign
  const planned = only.length > 0 ? campaignOf(only, times) : CAMPAIGNS[campaign](createRandom(`${seed} order`))
  const chosen = { ...planned, eventsPerSecond: rate ?? planned.eventsPerSecond }
  const minutes = Math.ceil(estimateMs(chosen) / 60_000)
  console.log(
    `Campaign ${name}: ${chosen.steps.length} faults at ${chosen.eventsPerSecond} events/s, seed ${seed}, about ${minutes} min\n`,
  )
  const outcome = await conduct(chosen, {
    seed,
    signal: stopping.signal,
    say: (line) => console.log(line),
    evidenceDirectory: join(DATA_DIRECTORY, 'faults', 'evidence'),
  })
  const directory = writeReport(DATA_DIRECTORY, name, outcome)
  console.log(`\n${asText(outcome)}\n\nThe report is in ${directory}`)
  const { red } = judgeOutcome(outcome)
  console.log(
    red.length === 0 ? '\nGreen: nothing lost, nothing twice, nothing billed wrong.' : `\nRED: ${red.join(', ')}`,
  )
  return red.length === 0 && !stopping.signal.aborted
}

/** The first request ends the campaign in order; a second one at once, and its watchdogs end what it had started. */
function stop(): void {
  if (stopping.signal.aborted) process.exit(1)
  stopping.abort()
}
