import type { FastifyPluginAsync } from 'fastify'
import type { Config } from '../../config.ts'
import { createJobs } from '../../infra/jobs.ts'
import { createMailer } from '../../infra/mail.ts'
import { prune } from './housekeeping/service.ts'
import { createMailTokens } from './mail-token.ts'
import { createMailsService, type MailFact } from './mails/service.ts'

const QUEUE = 'mails'
const PRUNE_INTERVAL_MS = 3_600_000

/** What people's accounts need done in the background: their mail, and the deletion of what is over. */
export const identityJobs: FastifyPluginAsync<{ config: Config }> = async (app, options) => {
  await app.register(mailJobs, options)
  const timer = setInterval(() => {
    prune(app.postgres).catch((error) => app.log.error({ err: error }, 'old sessions and links were not deleted'))
  }, PRUNE_INTERVAL_MS)
  app.addHook('preClose', async () => clearInterval(timer))
}

/**
 * Mails what facts ask for. A fact becomes a job before it counts as published, and the job has the fact's id: none is forgotten and none
 * is mailed twice, however often the relay repeats it. A mail whose sending broke off in doubt is sent again under the same Message-ID.
 */
const mailJobs: FastifyPluginAsync<{ config: Config }> = async (app, { config }) => {
  const { publicUrl, jwtSecret, jwtPreviousSecrets } = config.http
  const mailer = createMailer(config.mail)
  const mailTokens = createMailTokens([jwtSecret, ...jwtPreviousSecrets])
  const providerNameOf = (providerId: string) =>
    config.signInProviders.find(({ id }) => id === providerId)?.name ?? providerId
  const mails = createMailsService({ postgres: app.postgres, mailTokens, publicUrl, providerNameOf })
  const domain = new URL(publicUrl).hostname
  const jobs = createJobs<MailFact>({
    redisUrl: config.redis.url,
    name: QUEUE,
    log: app.log,
    onDeadLetter: () => app.metrics.deadJobs.inc({ queue: QUEUE }),
    work: async (fact) => {
      const mail = await mails.compose(fact)
      if (mail) await mailer.send({ ...mail, messageId: `<${fact.id}@${domain}>` })
    },
  })
  for (const kind of mails.kinds) {
    app.facts.carry(kind, ({ id, payload }) => jobs.add(id, { id, kind, payload }))
  }
  app.addHook('onReady', async () => jobs.start())
  app.addHook('preClose', async () => {
    await jobs.stop()
    mailer.close()
  })
}
