import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { table } from '../clickstream/table.ts'
import type { Outcome } from './conduct.ts'
import { judgeOutcome } from './figures.ts'

const number = new Intl.NumberFormat('en-US')
const seconds = (ms: number) => (Number.isFinite(ms) ? (ms / 1000).toFixed(2) : 'never')
const percent = (share: number) => `${(share * 100).toPrecision(2)} %`

interface Section {
  title: string
  head: string[]
  rows: string[][]
}

/** The report's tables, for the terminal and for Markdown alike. */
function sections(outcome: Outcome): Section[] {
  const { figures, acknowledged, kills, missed, boundPerKill, boundPerEvent } = judgeOutcome(outcome)
  const { eventsPerSecond, windows } = outcome
  return [
    {
      title: 'Verdict',
      head: ['figure', 'value', 'has to be'],
      rows: Object.entries(figures).map(([name, value]) => [name, number.format(value), '0']),
    },
    {
      title: 'Volume',
      head: ['what', 'value'],
      rows: [
        ['events attempted per second', `${number.format(eventsPerSecond.attempted)} (asked ${eventsPerSecond.asked})`],
        ['events acknowledged', number.format(acknowledged)],
        ['requests, of which re-sent', `${number.format(outcome.sends)}, ${percent(outcome.resends / outcome.sends)}`],
        ['kills', number.format(kills)],
        ['faults, of which missed their moment', `${outcome.faults.length}, ${missed}`],
        ['rate of loss per kill, 95 % bound (3/n)', `< ${percent(boundPerKill)}`],
        ['rate of loss per event, 95 % bound (3/n)', `< ${boundPerEvent.toExponential(1)}`],
        ['events skipped with too many in flight', number.format(outcome.skippedEvents)],
        ['429 and 503 without Retry-After', number.format(outcome.refusalsWithoutRetryAfter)],
        ['duration', `${seconds(outcome.elapsedMs)} s, seed ${outcome.seed}`],
      ],
    },
    {
      title: 'Faults and recovery (seconds from the end of the fault)',
      head: ['fault', 'times', 'landed', 'kills', 'ack median', 'ack worst', 'lag<5s median', 'lag<5s worst'],
      rows: outcome.recoveries.map(({ point, times, landed, kills: ofPoint, firstAckMs, lagMs }) => [
        point,
        ...[times, landed, ofPoint].map(String),
        ...[firstAckMs.median, firstAckMs.worst, lagMs.median, lagMs.worst].map(seconds),
      ]),
    },
    {
      title: 'Where the crashes fell',
      head: ['window', 'count'],
      rows: [
        ['requests without an answer', number.format(windows.unanswered)],
        ['… then accepted: nothing had been taken (C1, C3)', number.format(windows.thenAccepted)],
        ['… then duplicates: it had been taken (C2, C4)', number.format(windows.thenDuplicate)],
        ['batches in doubt that were probed', number.format(windows.probes)],
        ['… no row there (C7, C9)', number.format(windows.nonePresent)],
        ['… all rows there (C8, C10, C11)', number.format(windows.allPresent)],
        ['… some partitions there', number.format(windows.somePresent)],
        ['inserts that were called successful and stored nothing (C9)', number.format(windows.poisonedTokens)],
        ['sinks that found themselves fenced (C12)', number.format(windows.fenced)],
        ['batches sent again after the marks were gone (C5)', number.format(outcome.repeatedAfterForgetting)],
        ...Object.entries(windows.failpoints).map(([name, count]) => [`failpoint ${name}`, String(count)]),
      ],
    },
    {
      title: 'Organizations',
      head: ['organization', 'attempted', 'acknowledged', 'stored', 'rows before FINAL', 'Δbilled'],
      rows: outcome.verdicts.after.map((verdict, index) => [
        String(index + 1),
        ...[verdict.attempted, verdict.acknowledged, verdict.stored, verdict.copies].map((one) => number.format(one)),
        Object.entries(verdict.deltaBilled)
          .map(([source, delta]) => `${source} ${delta}`)
          .join(', '),
      ]),
    },
  ]
}

const remarks = (outcome: Outcome) => [
  ...outcome.notDone.map((reason) => `Not done: ${reason}`),
  'Not done: C14, a report to Stripe, which this version does not have.',
  ...[...outcome.verdicts.before, ...outcome.verdicts.after].flatMap(({ examples, apiFaults }) => [
    ...examples,
    ...apiFaults,
  ]),
]

export function asText(outcome: Outcome): string {
  const parts = sections(outcome).map(({ title, head, rows }) => `${title}\n\n${table(head, rows)}`)
  return [...parts, remarks(outcome).join('\n')].join('\n\n')
}

export function asMarkdown(name: string, outcome: Outcome): string {
  const row = (cells: string[]) => `| ${cells.join(' | ')} |`
  const parts = sections(outcome).map(({ title, head, rows }) =>
    [`## ${title}`, '', row(head), row(head.map(() => '---')), ...rows.map(row)].join('\n'),
  )
  const began = new Date(outcome.startedMs).toISOString()
  return [
    `# Faults: ${name}, ${began}`,
    ...parts,
    remarks(outcome)
      .map((line) => `- ${line}`)
      .join('\n'),
    '',
  ].join('\n\n')
}

/** Writes `faults/latest.json` and `.md` into the data folder; resolves to their directory. */
export function writeReport(dataDirectory: string, name: string, outcome: Outcome): string {
  const directory = join(dataDirectory, 'faults')
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const content = { campaign: name, ...judgeOutcome(outcome), ...outcome }
  writeFileSync(join(directory, 'latest.json'), `${JSON.stringify(content, null, 2)}\n`)
  writeFileSync(join(directory, 'latest.md'), asMarkdown(name, outcome))
  return directory
}
