import type { FastifyInstance } from 'fastify'
import { createJobs, type Jobs } from './jobs.ts'
import { createMailer, type Mail } from './mail.ts'

interface MailJobs<Due extends { id: string }> {
  name: string
  redisUrl: string
  mail: Parameters<typeof createMailer>[0]
  /** Of whose name the ids of the messages are. */
  publicUrl: string
  /** Undefined where there is nothing to send any more. */
  compose: (due: Due) => Promise<Mail | undefined>
}

/**
 * A queue of mails that the server works off while it runs. A job has the id of its fact, so that a fact is mailed once however often the
 * relay repeats it; a mail whose sending broke off in doubt is sent again under the same Message-ID. Gives how a mail is added.
 */
export function openMailJobs<Due extends { id: string }>(
  app: FastifyInstance,
  { name, redisUrl, mail, publicUrl, compose }: MailJobs<Due>,
): Jobs<Due>['add'] {
  const mailer = createMailer(mail)
  const domain = new URL(publicUrl).hostname
  const jobs = createJobs<Due>({
    redisUrl,
    name,
    log: app.log,
    onDeadLetter: () => app.metrics.deadJobs.inc({ queue: name }),
    work: async (due) => {
      const composed = await compose(due)
      if (composed) await mailer.send({ ...composed, messageId: `<${due.id}@${domain}>` })
    },
  })
  app.addHook('onReady', async () => jobs.start())
  app.addHook('preClose', async () => {
    await jobs.stop()
    mailer.close()
  })
  return jobs.add
}
