const ASK_INTERVAL_MS = 100

/**
 * Measures how long an acknowledged event waits until queries count it: asks the public API again and again through when its answers
 * are complete. A moment t is queryable at the first answer that is complete through t.
 */
export function watchFreshness({ port, apiKey, projectId }: { port: number; apiKey: string; projectId: string }) {
  // A range without events, so that asking costs next to nothing.
  const url = `http://127.0.0.1:${port}/v1/projects/${projectId}/usage?from=2020-01-01&to=2020-01-02&interval=day`
  const answers: { atMs: number; throughMs: number }[] = []
  let running = true

  async function ask(): Promise<{ atMs: number; throughMs: number }> {
    const response = await fetch(url, { headers: { authorization: `Bearer ${apiKey}` } })
    if (!response.ok) throw new Error(`GET usage answered ${response.status}: ${await response.text()}`)
    const { completeThrough } = (await response.json()) as { completeThrough: string }
    return { atMs: Date.now(), throughMs: Date.parse(completeThrough) }
  }
  const asking = (async () => {
    while (running) {
      answers.push(await ask())
      await new Promise((resolve) => setTimeout(resolve, ASK_INTERVAL_MS))
    }
  })()
  asking.catch(() => {
    // `stop` awaits the same promise and reports it.
  })

  return {
    /** Resolves when everything up to now is queryable, to when that was. */
    async caughtUp(): Promise<number> {
      const untilMs = Date.now()
      for (;;) {
        const { atMs, throughMs } = await ask()
        if (throughMs >= untilMs) return atMs
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
    },

    /** Percentiles of the wait in milliseconds, over the moments from `fromMs` to `toMs`. */
    async stop(fromMs: number, toMs: number): Promise<{ p50Ms: number; p99Ms: number }> {
      running = false
      await asking
      const waits: number[] = []
      let next = 0
      for (let moment = fromMs; moment < toMs; moment += 10) {
        while (next < answers.length && (answers[next]?.throughMs ?? 0) < moment) next += 1
        const answer = answers[next]
        if (answer) waits.push(Math.max(0, answer.atMs - moment))
      }
      waits.sort((left, right) => left - right)
      const at = (share: number) => waits[Math.min(waits.length - 1, Math.floor(waits.length * share))] ?? Number.NaN
      return { p50Ms: at(0.5), p99Ms: at(0.99) }
    },
  }
}
