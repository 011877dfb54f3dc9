import { readFileSync } from 'node:fs'
import type { FastifyPluginAsync } from 'fastify'

const asset = (name: string) => readFileSync(new URL(name, import.meta.url), 'utf8')
const PAGE = asset('account.html')
const SCRIPT = asset('account.js')
/** The pages that mailed links lead to, each of which posts to the route of the same name, and the one after a sign-in elsewhere. */
const ACTIONS = [
  'verify-email',
  'reset-password',
  'forgot-password',
  'confirm-email-change',
  'accept-invitation',
  'signed-in',
  'second-factor',
]

export const accountPages: FastifyPluginAsync = async (app) => {
  for (const action of ACTIONS) {
    app.get(`/account/${action}`, { config: { access: 'public' }, schema: { hide: true } }, async (_request, reply) =>
      reply.type('text/html; charset=utf-8').header('cache-control', 'no-store').send(PAGE),
    )
  }
  app.get('/account.js', { config: { access: 'public' }, schema: { hide: true } }, async (_request, reply) =>
    reply.type('text/javascript; charset=utf-8').header('cache-control', 'no-cache').send(SCRIPT),
  )
}
