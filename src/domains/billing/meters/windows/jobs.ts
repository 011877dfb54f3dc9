import type { FastifyPluginAsync } from 'fastify'
import { inRounds } from '../../../../infra/rounds.ts'
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
  inRounds(app, {
    intervalMs: INTERVAL_MS,
    work: () => oncePer(app.redis, 'meters:stale', INTERVAL_MS - 1000, mark),
    failure: 'stale windows of meters were not marked and will be looked for again',
  })
}
