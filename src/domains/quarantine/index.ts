import type { FastifyPluginAsync } from 'fastify'
import type { ReplayDoor } from '../events/index.ts'
import { quarantineRoutes } from './routes.ts'
import { createQuarantineService } from './service.ts'

export { createHeldRelease, type HeldRelease, organizationsHeld } from './release.ts'

/** Events that were refused and kept: schema violations and dead letters, to be repaired and replayed. */
const quarantinePlugin: FastifyPluginAsync<{ door: ReplayDoor }> = async (app, { door }) => {
  const quarantine = createQuarantineService({ clickhouse: app.clickhouse, postgres: app.postgres, door })
  await app.register(quarantineRoutes, { quarantine })
}
export default quarantinePlugin
