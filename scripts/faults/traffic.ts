import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { TrafficNews, TrafficOrder, TrafficPlan } from './generator.ts'
import { until } from './server-slot.ts'

const GENERATOR = fileURLToPath(new URL('generator.ts', import.meta.url))

export type Traffic = ReturnType<typeof startTraffic>

/** The generator's process, seen from the rig. */
export function startTraffic(plan: TrafficPlan) {
  const child: ChildProcess = fork(GENERATOR, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  let latest: TrafficNews | undefined
  let hasEnded = false
  const waiting = new Map<TrafficNews['kind'], () => void>()
  child.on('message', (message: TrafficNews) => {
    latest = message
    waiting.get(message.kind)?.()
  })
  child.once('exit', () => {
    hasEnded = true
  })
  const tell = (order: TrafficOrder) => child.send(order)
  const ask = (order: TrafficOrder, answer: TrafficNews['kind'], timeoutMs: number) => {
    let answered = false
    waiting.set(answer, () => {
      answered = true
    })
    tell(order)
    return until(() => answered || hasEnded, timeoutMs).then(() => answered)
  }
  tell({ order: 'start', plan })

  return {
    news: () => latest,
    pad: (bytes: number) => tell({ order: 'pad', bytes }),
    repeat: (batches: number) => ask({ order: 'repeat', batches }, 'repeated', 60_000),
    /** Attempts nothing new and waits for a final answer to everything; false when there was none within the time. */
    finish: (timeoutMs: number) => ask({ order: 'finish' }, 'finished', timeoutMs),
    async stop() {
      if (hasEnded) return
      child.kill('SIGKILL')
      await once(child, 'exit')
    },
    /** Resolves when so many more events were acknowledged; false when not within the time. */
    async moreAcknowledged(events: number, timeoutMs: number): Promise<boolean> {
      const before = latest?.acknowledged ?? 0
      return until(() => hasEnded || (latest?.acknowledged ?? 0) >= before + events, timeoutMs)
    },
  }
}
