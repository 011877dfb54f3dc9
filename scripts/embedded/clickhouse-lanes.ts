export interface Lane<Slot> {
  /** Runs `work` with a slot of its own, in order of arrival; rejects without running it when `signal` aborts first. */
  run<Result>(signal: AbortSignal, work: (slot: Slot) => Promise<Result>): Promise<Result>
  /** Resolves when nothing runs and nothing waits. */
  idle(): Promise<void>
}

/** At most one piece of work per slot at a time. Inserts have a lane of their own, so that slow reads never hold them up. */
export function openLane<Slot>(slots: Slot[]): Lane<Slot> {
  const free = [...slots]
  const waiting: ((slot: Slot) => void)[] = []
  const running = new Set<Promise<unknown>>()

  function release(slot: Slot) {
    const next = waiting.shift()
    if (next) next(slot)
    else free.push(slot)
  }

  function acquire(): Slot | Promise<Slot> {
    return free.pop() ?? new Promise((resolve) => waiting.push(resolve))
  }

  async function runInSlot<Result>(signal: AbortSignal, work: (slot: Slot) => Promise<Result>): Promise<Result> {
    const slot = await acquire()
    try {
      signal.throwIfAborted()
      return await work(slot)
    } finally {
      release(slot)
    }
  }

  return {
    run(signal, work) {
      const outcome = runInSlot(signal, work)
      const settled: Promise<unknown> = outcome.catch(() => undefined).then(() => running.delete(settled))
      running.add(settled)
      return outcome
    },
    async idle() {
      while (running.size > 0) await Promise.all(running)
    },
  }
}
