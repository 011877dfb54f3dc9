import type { FastifyPluginAsync } from 'fastify'
import type { Tail } from '../events/index.ts'
import { SESSIONS_ENDED } from '../identity/index.ts'
import { FREEZE_CHANGED, MEMBERS_NARROWED, MEMBERSHIP_ENDED } from '../organizations/index.ts'
import { KEY_CHANGED, KEY_REVOKED } from '../projects/index.ts'
import { type LiveRouteOptions, liveRoutes } from './routes.ts'
import { createLiveRegistry } from './service.ts'

type LiveOptions = { tail: Tail } & Pick<LiveRouteOptions, 'bufferBytesMax' | 'heartbeatIntervalMs'>

const livePlugin: FastifyPluginAsync<LiveOptions> = async (app, options) => {
  const registry = createLiveRegistry()
  app.facts.on(KEY_REVOKED, ({ payload }) => registry.revokeKey(String(payload.keyId)))
  app.facts.on(KEY_CHANGED, ({ payload }) => registry.changeKey(String(payload.keyId)))
  app.facts.on(SESSIONS_ENDED, ({ payload }) => registry.endSessions(payload.sessionIds as string[]))
  app.facts.on(MEMBERSHIP_ENDED, ({ organizationId, payload }) =>
    registry.endMembership(organizationId, String(payload.userId)),
  )
  app.facts.on(MEMBERS_NARROWED, ({ organizationId, payload }) =>
    registry.endWatching(organizationId, payload.userIds as string[]),
  )
  app.facts.on(FREEZE_CHANGED, ({ organizationId, payload }) => {
    if (payload.frozen) registry.freeze(organizationId)
  })
  app.addHook('preClose', () => options.tail.stop())
  await app.register(liveRoutes, { ...options, registry })
}
export default livePlugin
