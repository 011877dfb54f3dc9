import { copyFileSync, mkdirSync, readdirSync, rmSync } from 'node:fs'
import { basename, join } from 'node:path'
import { createRandom } from '../clickstream/random.ts'
import type { Campaign } from './campaigns.ts'
import { check, type Verdict } from './checker.ts'
import { judgeOutcome } from './figures.ts'
import { readLedger } from './ledger.ts'
import { startObserver } from './observer.ts'
import type { Step } from './points.ts'
import { recoveries } from './recovery.ts'
import type { FaultRecord, Scene } from './scene.ts'
import { readSinkLogs } from './sink-logs.ts'
import { startStack } from './stack.ts'
import { startTraffic } from './traffic.ts'

const WARM_UP_EVENTS = 1000
const FINISH_TIMEOUT_MS = 120_000
const DRAIN_TIMEOUT_MS = 120_000
/** Acknowledged batches that are sent once more after the door was made to forget. */
const FORGOTTEN_BATCHES = 200
const AIMS_MAX = 3

interface Settings {
  seed: string
  signal: AbortSignal
  say: (line: string) => void
  /** Where the ledger and the logs are kept when a figure is red. */
  evidenceDirectory: string
}

type Settled = Awaited<ReturnType<typeof settle>>

export interface Outcome extends Settled {
  seed: string
  startedMs: number
  elapsedMs: number
  eventsPerSecond: { asked: number; attempted: number }
}

/** One campaign from an empty directory to the verdict. Leaves nothing behind, however it ends. */
export async function conduct(campaign: Campaign, settings: Settings): Promise<Outcome> {
  const { seed, say } = settings
  const startedMs = Date.now()
  const skipped: string[] = []
  const stack = await startStack(say, (reason) => skipped.push(reason))
  const run = `f${startedMs.toString(36)}`
  const observer = startObserver(stack)
  const traffic = startTraffic({
    run,
    seed,
    apis: stack.apis.map(({ slot }) => slot.url),
    organizations: stack.organizations,
    eventsPerSecond: campaign.eventsPerSecond,
    ledgerPath: join(stack.directory, 'ledger.jsonl'),
  })
  const random = createRandom(`${seed} faults`)
  const scene: Scene = { point: '', run, stack, traffic, observer, random, faults: [], skipped }
  try {
    if (!(await traffic.moreAcknowledged(WARM_UP_EVENTS, 60_000))) throw new Error('the stack acknowledges nothing')
    const loadMs = Date.now()
    await inflictAll(scene, campaign, settings)
    const loadedMs = Date.now() - loadMs
    const verdict = await settle(scene)
    const outcome = {
      seed,
      startedMs,
      elapsedMs: Date.now() - startedMs,
      eventsPerSecond: { asked: campaign.eventsPerSecond, attempted: rate(verdict.verdicts.before, loadedMs) },
      ...verdict,
    }
    if (judgeOutcome(outcome).red.length > 0) keepEvidence(stack.directory, settings.evidenceDirectory)
    return outcome
  } finally {
    await traffic.stop()
    await observer.stop()
    await stack.stop()
  }
}

/** What a red figure has to be explained from; each run replaces the evidence of the one before. */
function keepEvidence(from: string, to: string): void {
  rmSync(to, { recursive: true, force: true })
  mkdirSync(to, { recursive: true, mode: 0o700 })
  const logs = readdirSync(from, { recursive: true, encoding: 'utf8' }).filter((path) => /\.(log|jsonl)$/.test(path))
  for (const path of logs) copyFileSync(join(from, path), join(to, basename(path)))
}

async function inflictAll(scene: Scene, { steps }: Campaign, { signal, say }: Settings): Promise<void> {
  for (const [index, step] of steps.entries()) {
    if (signal.aborted) return
    const last = await inflict(scene, step)
    const mark = last?.landed ? ' ' : '!'
    say(`${String(index + 1).padStart(4)}/${steps.length} ${mark} ${step.name} (${last?.target}) ${last?.note ?? ''}`)
  }
}

/** Lets everything come to rest, and judges it twice: as it is, and after the door was made to forget. */
async function settle(scene: Scene) {
  const { stack, traffic, observer, faults } = scene
  const wasFinished = await traffic.finish(FINISH_TIMEOUT_MS)
  const wasDrained = await observer.drained(DRAIN_TIMEOUT_MS)
  const before = await judge(scene)
  // C5 last, as it makes the accepted counter count the same event twice by design.
  const forgotten = await forgetAndRepeat(scene)
  const { verdicts, book } = await judge(scene)
  return {
    verdicts: { before: before.verdicts, after: verdicts },
    isWhole: wasFinished && wasDrained && forgotten.drained,
    faults,
    recoveries: recoveries(faults, book.lines, observer.samples),
    windows: { ...book.doubts, ...readSinkLogs(stack.sinks.map(({ slot }) => slot.logFile)) },
    repeatedAfterForgetting: forgotten.batches,
    cursorRegressions: observer.regressions.length,
    sends: book.sends,
    resends: book.resends,
    answers: traffic.news()?.answers ?? {},
    skippedEvents: traffic.news()?.skipped ?? 0,
    refusalsWithoutRetryAfter: traffic.news()?.refusalsWithoutRetryAfter ?? 0,
    notDone: scene.skipped,
  }
}

/** Makes a fault, and again when it missed its moment, which a busy machine can make it do. */
async function inflict(scene: Scene, step: Step): Promise<FaultRecord | undefined> {
  scene.point = step.name
  for (let tries = 1; ; tries++) {
    await step.fault(scene)
    const last = scene.faults.at(-1)
    if (!last || last.landed || !step.isAimed || last.note === 'skipped' || tries === AIMS_MAX) return last
  }
}

async function judge({ stack, run }: Scene) {
  const book = await readLedger(join(stack.directory, 'ledger.jsonl'), run, stack.organizations.length)
  const verdicts: Verdict[] = []
  for (const [index, organization] of stack.organizations.entries()) {
    const account = book.accounts[index]
    if (account) verdicts.push(await check(stack, account, organization))
  }
  return { book, verdicts }
}

/** C5: the door's marks run out, and clients that never saw their answer come back. */
async function forgetAndRepeat({ stack, traffic, observer }: Scene): Promise<{ batches: number; drained: boolean }> {
  const keys = await stack.buffer.keys('mh:*mark*')
  if (keys.length > 0) await stack.buffer.del(...keys)
  const repeated = await traffic.repeat(FORGOTTEN_BATCHES)
  return { batches: FORGOTTEN_BATCHES, drained: repeated && (await observer.drained(DRAIN_TIMEOUT_MS)) }
}

const rate = (verdicts: Verdict[], elapsedMs: number) =>
  Math.round(verdicts.reduce((sum, { attempted }) => sum + attempted, 0) / (elapsedMs / 1000))
