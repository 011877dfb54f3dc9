import { parseArgs } from 'node:util'
import { CAMPAIGNS, type CampaignName } from './campaigns.ts'

export const USAGE = `npm run faults -- [options]

Kills, stops, cuts and starves every process of a private stack under load, and holds a ledger of what was acknowledged against
what is stored, shown and billed. Everything runs in a temporary directory; a running Meterhouse is not touched.

  --campaign short     short (under two minutes, every crash point once), standard, nightly
  --only NAME          only the faults whose names begin so; several times for several; --times 3 for how often
  --seed 42            repeats the order and the moments of the faults; without it they are new each time
  --rate 1000          events per second
  --controls           the negative controls: the same rig on copies of the source with a seeded bug each, which it has to catch
  --control NAME       one of them

The report goes to faults/latest.{json,md} in METERHOUSE_DATA or .data.`

export interface Options {
  help: boolean
  campaign: CampaignName
  only: string[]
  times: number
  seed: string
  rate: number | undefined
  controls: boolean
  control: string | undefined
}

/** Reads the command line; every fault names its option. */
export function readOptions(argv: string[]): Options {
  const text = { type: 'string' } as const
  const { values } = parseArgs({
    args: argv,
    options: {
      campaign: { ...text, default: 'short' },
      only: { ...text, multiple: true },
      times: text,
      seed: text,
      rate: text,
      controls: { type: 'boolean', default: false },
      control: text,
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  const { campaign, rate } = values
  if (!isCampaign(campaign))
    throw new Error(`--campaign has to be one of ${Object.keys(CAMPAIGNS).join(', ')}, not "${campaign}"`)
  return {
    help: values.help,
    campaign,
    seed: values.seed ?? String(Date.now() % 1_000_000),
    rate: rate === undefined ? undefined : integer('rate', rate, 100_000),
    only: values.only ?? [],
    times: integer('times', values.times ?? '1', 1000),
    controls: values.controls || values.control !== undefined,
    control: values.control,
  }
}

function integer(name: string, text: string, most: number): number {
  const value = Number(text)
  if (Number.isInteger(value) && value >= 1 && value <= most) return value
  throw new Error(`--${name} has to be a whole number from 1 to ${most}, not "${text}"`)
}

function isCampaign(name: string): name is CampaignName {
  return name in CAMPAIGNS
}
