import type { FastifyPluginAsync } from 'fastify'
import { oncePer } from '../../../../infra/turns.ts'
import { markDirty, shardOf } from '../../../events/index.ts'
import type { MeterWindows } from './service.ts'

const INTERVAL_MS = 15_000

/** Marks what meters have to count though no event touched it. The loop behind the usage windows then counts it. */
export const meterJobs: FastifyPluginAsync<{ windows: Pick<MeterWindows, 'listStale'>; shards: number }> = async (
  app,
  { windows, shards },
) => {
  const mark = async () => {
    for (const hour of await windows.listStale())
      await markDirty(app.ingestRedis, shardOf(hour.organizationId, shards), [hour])
  }
  let running: Promise<unknown> | undefined
  const timer = setInterval(() => {
    running ??= oncePer(app.redis, 'meters:stale', INTERVAL_MS - 1000, mark)
      .catch((error) =>
        app.log.error({ err: error }, 'stale windows of meters were not marked and will be looked for again'),
      )
      .finally(() => {
        running = undefined
      })
  }, INTERVAL_MS)
  app.addHook('preClose', async () => {
    clearInterval(timer)
    await running
  })
}
