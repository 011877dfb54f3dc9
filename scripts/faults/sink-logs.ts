import { readFileSync } from 'node:fs'
import { failpointsPassed } from './server-slot.ts'

/** What the probes of doubtful batches found: which side of the store's commit each crash fell on. */
export interface ProbeCounts {
  probes: number
  /** Every row was there: the answer was lost, not the insert. */
  allPresent: number
  /** No row was there: the insert had not happened. */
  nonePresent: number
  /** A part of the partitions had been written. */
  somePresent: number
  /** Rows still absent after an insert that was called successful: its token was known and its rows were not. */
  poisonedTokens: number
  fenced: number
  failpoints: Record<string, number>
}

export function readSinkLogs(logFiles: string[]): ProbeCounts {
  const counts: ProbeCounts = {
    probes: 0,
    allPresent: 0,
    nonePresent: 0,
    somePresent: 0,
    poisonedTokens: 0,
    fenced: 0,
    failpoints: failpointsPassed(logFiles),
  }
  for (const line of logFiles.flatMap((file) => readFileSync(file, 'utf8').split('\n'))) {
    if (line.includes('another sink has taken the lane over')) counts.fenced += 1
    if (!line.includes('a doubtful batch was probed')) continue
    const { rows, absent, attempt } = JSON.parse(line) as { rows: number; absent: number; attempt: number }
    counts.probes += 1
    if (attempt > 0 && absent > 0) counts.poisonedTokens += 1
    if (attempt > 0) continue
    if (absent === 0) counts.allPresent += 1
    else if (absent === rows) counts.nonePresent += 1
    else counts.somePresent += 1
  }
  return counts
}
