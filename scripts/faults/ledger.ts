import { open, readFile } from 'node:fs/promises'

/**
 * What the generator knows, one JSON text per line, each on disk before the generator goes on: `attempt` before the first byte of
 * a batch is sent, `send` before every send of it, `answer` after each. Ids are not written: `eventId` makes them again.
 */
export type LedgerLine =
  | { kind: 'attempt'; batch: number; organization: number; events: number; atMs: number }
  | { kind: 'send'; batch: number; why: SendReason; api: number; atMs: number }
  | { kind: 'answer'; batch: number; api: number; why: SendReason; outcome: Outcome; sentMs: number; atMs: number }

export type SendReason = 'first' | 'retry' | 'immediate' | 'late' | 'concurrent' | 'forgotten'

export type Outcome =
  /** One letter per event: a accepted, d duplicate, r rejected, q quarantined. */
  | { status: 202; verdicts: string }
  /** Refused for good. */
  | { status: number; final: true; code: string }
  /** No answer, or one that says nothing about what was taken. */
  | { status: number; final: false; code: string; retryAfter: boolean }

export const eventId = (run: string, batch: number, index: number) => `${run}-${batch}-${index}`

/** Many writers share one fsync; each waits until its own line is on disk. */
export async function openLedger(path: string) {
  const file = await open(path, 'a')
  let waiting: { line: string; resolve: () => void; reject: (error: unknown) => void }[] = []
  let isWriting = false

  async function flush(): Promise<void> {
    isWriting = true
    while (waiting.length > 0) {
      const batch = waiting
      waiting = []
      try {
        await file.write(batch.map(({ line }) => `${line}\n`).join(''))
        await file.datasync()
        for (const { resolve } of batch) resolve()
      } catch (error) {
        for (const { reject } of batch) reject(error)
      }
    }
    isWriting = false
  }

  return {
    write: (line: LedgerLine) =>
      new Promise<void>((resolve, reject) => {
        waiting.push({ line: JSON.stringify(line), resolve, reject })
        if (!isWriting) void flush()
      }),
    close: () => file.close(),
  }
}
export type Ledger = Awaited<ReturnType<typeof openLedger>>

/** What the ledger says of one organization. */
export interface Account {
  attempted: Set<string>
  acknowledged: Set<string>
  rejected: Set<string>
  /** Attempted, and never answered for good. */
  unknown: number
  /** Ids that were accepted once more after the door was made to forget them. */
  acceptedAgain: number
}

export interface LedgerBook {
  accounts: Account[]
  lines: LedgerLine[]
  batches: number
  sends: number
  resends: number
  /** Sends without a final answer, and what the next answer of such a batch then said. */
  doubts: { unanswered: number; thenAccepted: number; thenDuplicate: number }
}

export async function readLedger(path: string, run: string, organizations: number): Promise<LedgerBook> {
  const lines = (await readFile(path, 'utf8'))
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as LedgerLine)
  const accounts = Array.from(
    { length: organizations },
    (): Account => ({
      attempted: new Set(),
      acknowledged: new Set(),
      rejected: new Set(),
      unknown: 0,
      acceptedAgain: 0,
    }),
  )
  const book: LedgerBook = {
    accounts,
    lines,
    batches: 0,
    sends: 0,
    resends: 0,
    doubts: { unanswered: 0, thenAccepted: 0, thenDuplicate: 0 },
  }
  const owners = new Map<number, { account: Account; events: number; inDoubt: boolean }>()
  for (const line of lines) {
    if (line.kind === 'attempt') {
      const account = accounts[line.organization]
      if (!account) throw new Error(`the ledger names organization ${line.organization}`)
      owners.set(line.batch, { account, events: line.events, inDoubt: false })
      for (let index = 0; index < line.events; index++) account.attempted.add(eventId(run, line.batch, index))
      book.batches += 1
    } else if (line.kind === 'send') {
      book.sends += 1
      if (line.why !== 'first') book.resends += 1
    } else post(book, owners, run, line)
  }
  for (const account of accounts) {
    for (const id of account.attempted) {
      if (!account.acknowledged.has(id) && !account.rejected.has(id)) account.unknown += 1
    }
  }
  return book
}

function post(
  { doubts }: LedgerBook,
  owners: Map<number, { account: Account; events: number; inDoubt: boolean }>,
  run: string,
  { batch, outcome, why }: LedgerLine & { kind: 'answer' },
): void {
  const owner = owners.get(batch)
  if (!owner) throw new Error(`the ledger has an answer for batch ${batch}, which was never attempted`)
  const { account, events } = owner
  if (!('verdicts' in outcome)) {
    if (!outcome.final) {
      doubts.unanswered += 1
      owner.inDoubt = true
      return
    }
    for (let index = 0; index < events; index++) account.rejected.add(eventId(run, batch, index))
    return
  }
  if (owner.inDoubt) doubts[outcome.verdicts.startsWith('a') ? 'thenAccepted' : 'thenDuplicate'] += 1
  owner.inDoubt = false
  for (const [index, verdict] of [...outcome.verdicts].entries()) {
    const id = eventId(run, batch, index)
    if (verdict === 'r' || verdict === 'q') {
      account.rejected.add(id)
      continue
    }
    account.acknowledged.add(id)
    if (verdict === 'a' && why === 'forgotten') account.acceptedAgain += 1
  }
}
