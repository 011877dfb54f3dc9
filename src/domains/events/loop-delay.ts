import { monitorEventLoopDelay } from 'node:perf_hooks'

const RESOLUTION_MS = 20
const WINDOW_MS = 250

/**
 * How long the event loop keeps a due timer waiting, in milliseconds: the mean of a quarter of a second, averaged with what was known
 * before, so that one long pause alone is no overload and two in a row are.
 */
export function createLoopDelay() {
  const histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
  histogram.enable()
  let delayMs = 0
  const timer = setInterval(() => {
    const meanMs = histogram.count === 0 ? 0 : histogram.mean / 1e6 - RESOLUTION_MS
    delayMs = (delayMs + Math.max(0, meanMs)) / 2
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
