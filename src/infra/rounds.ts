import type { FastifyInstance } from 'fastify'

interface Rounds {
  intervalMs: number
  work: () => Promise<unknown>
  /** What the log says of a round that failed; the next one tries again. */
  failure: string
}

/** Does the work again and again while the server runs, one round at a time; the server waits for the last one before it closes. */
export function inRounds(app: FastifyInstance, { intervalMs, work, failure }: Rounds): void {
  let running: Promise<unknown> | undefined
  const timer = setInterval(() => {
    running ??= work()
      .catch((error) => app.log.error({ err: error }, failure))
      .finally(() => {
        running = undefined
      })
  }, intervalMs)
  app.addHook('preClose', async () => {
    clearInterval(timer)
    await running
  })
}
