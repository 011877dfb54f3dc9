import type { FastifyPluginAsync } from 'fastify'
import type { Config } from '../../config.ts'
import { openMailJobs } from '../../infra/mail-jobs.ts'
import { inRounds } from '../../infra/rounds.ts'
import { prune } from './housekeeping/service.ts'
import { createMailTokens } from './mail-token.ts'
import { createMailsService, type MailFact } from './mails/service.ts'

const PRUNE_INTERVAL_MS = 3_600_000

/** What people's accounts need done in the background: their mail, and the deletion of what is over. */
export const identityJobs: FastifyPluginAsync<{ config: Config }> = async (app, options) => {
  await app.register(mailJobs, options)
  inRounds(app, {
    intervalMs: PRUNE_INTERVAL_MS,
    work: () => prune(app.postgres),
    failure: 'old sessions and links were not deleted',
  })
}

/** Mails what facts ask for. */
const mailJobs: FastifyPluginAsync<{ config: Config }> = async (app, { config }) => {
  const { publicUrl, jwtSecret, jwtPreviousSecrets } = config.http
  const mailTokens = createMailTokens([jwtSecret, ...jwtPreviousSecrets])
  const providerNameOf = (providerId: string) =>
    config.signInProviders.find(({ id }) => id === providerId)?.name ?? providerId
  const { compose, kinds } = createMailsService({ postgres: app.postgres, mailTokens, publicUrl, providerNameOf })
  const options = { name: 'mails', redisUrl: config.redis.url, mail: config.mail, publicUrl }
  const add = openMailJobs<MailFact>(app, { ...options, compose })
  for (const kind of kinds) app.facts.carry(kind, ({ id, payload }) => add(id, { id, kind, payload }))
}
