import type { FastifyPluginAsync } from 'fastify'
import { identityRoutes } from './routes.ts'
import type { IdentityService } from './service.ts'

export { createIdentityService, hashPassword, type IdentityService } from './service.ts'
export { createTokens, type Tokens } from './tokens.ts'

const identityPlugin: FastifyPluginAsync<{ identity: IdentityService }> = async (app, options) => {
  await app.register(identityRoutes, options)
}
export default identityPlugin
