import { monitorEventLoopDelay } from 'node:perf_hooks'

const RESOLUTION_MS = 20
const WINDOW_MS = 250
const WEIGHT = 0.25

/**
 * How long the event loop keeps a due timer waiting, in milliseconds, over about the last second: a pause of half a second alone is no
 * overload, one after the other are.
 */
export function createLoopDelay() {
  const histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
  histogram.enable()
  let delayMs = 0
  const timer = setInterval(() => {
    const meanMs = histogram.count === 0 ? 0 : histogram.mean / 1e6 - RESOLUTION_MS
    delayMs += WEIGHT * (Math.max(0, meanMs) - delayMs)
    histogram.reset()
  }, WINDOW_MS)
  timer.unref()

  return {
    delayMs: () => delayMs,
    stop() {
      clearInterval(timer)
      histogram.disable()
    },
  }
}
