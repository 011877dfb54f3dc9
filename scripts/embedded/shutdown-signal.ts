export interface ShutdownSignal {
  /** Aborted at the first request to stop: whoever is still starting gives up. */
  signal: AbortSignal
  /** Resolves at the first request to stop. */
  requested: Promise<void>
  /** Called when there is no more time: after a second request, or when the orderly stop takes too long. */
  onHardStop: (kill: () => void) => void
}

const patienceMs = 9000
/** npm passes a Ctrl-C on to its child, which has got it from the terminal already: that is one request, not two. */
const sameRequestMs = 400

/** Turns Ctrl-C, SIGTERM, the terminal's end and the launcher's death into one request to stop, kept within ten seconds. */
export function listenForShutdown(): ShutdownSignal {
  const controller = new AbortController()
  const { promise: requested, resolve } = Promise.withResolvers<void>()
  const kills: (() => void)[] = []
  let firstAt: number | undefined

  function stopHard(): void {
    console.log('  Stopped at once: what was still running was killed')
    for (const kill of kills) kill()
    process.exit(1)
  }
  function request(): void {
    if (firstAt !== undefined) {
      if (performance.now() - firstAt > sameRequestMs) stopHard()
      return
    }
    firstAt = performance.now()
    setTimeout(stopHard, patienceMs).unref()
    controller.abort(new Error('Stopped while starting'))
    resolve()
  }

  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, request)
  process.on('disconnect', request)
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', () => {
      // The terminal is gone; what would be said has no reader, but there is still an order to stop things in.
    })
  }
  return { signal: controller.signal, requested, onHardStop: (kill) => kills.push(kill) }
}
