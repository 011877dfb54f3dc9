import type { FastifyPluginAsync } from 'fastify'
import type { Config } from '../../../config.ts'
import { createJobs } from '../../../infra/jobs.ts'
import { createMailer } from '../../../infra/mail.ts'
import { inTurn } from '../../../infra/turns.ts'
import { INVOICE_FINALIZED } from './fact-kinds.ts'
import type { IssuingService } from './issuing/service.ts'
import { createInvoiceMailsService, type InvoiceFact } from './mails/service.ts'

const INTERVAL_MS = 5000
/** Longer than a round takes; one that takes longer is joined by another process, which is harmless. */
const TURN_MS = 120_000
const QUEUE = 'invoice-mails'

interface Options {
  config: Config
  invoices: Pick<IssuingService, 'invoiceDue'>
  /** Told of each invoice at least once, before its mail is sent. */
  onFinalized?: ((organizationId: string) => Promise<void>) | undefined
}

/** Bills what is over and what is due, and mails the invoices. */
export const invoiceJobs: FastifyPluginAsync<Options> = async (app, { config, invoices, onFinalized }) => {
  await app.register(invoiceMails, { config, onFinalized })
  let running: Promise<unknown> | undefined
  const timer = setInterval(() => {
    running ??= inTurn(app.redis, 'invoices', TURN_MS, () => invoices.invoiceDue())
      .catch((error) => app.log.error({ err: error }, 'invoices were not made and will be tried again'))
      .finally(() => {
        running = undefined
      })
  }, INTERVAL_MS)
  app.addHook('preClose', async () => {
    clearInterval(timer)
    await running
  })
}

/** A job has the id of its fact, so that an invoice is mailed once however often the relay repeats it. */
const invoiceMails: FastifyPluginAsync<Omit<Options, 'invoices'>> = async (app, { config, onFinalized }) => {
  const mailer = createMailer(config.mail)
  const mails = createInvoiceMailsService(app)
  const domain = new URL(config.http.publicUrl).hostname
  const jobs = createJobs<InvoiceFact>({
    redisUrl: config.redis.url,
    name: QUEUE,
    log: app.log,
    onDeadLetter: () => app.metrics.deadJobs.inc({ queue: QUEUE }),
    work: async (fact) => {
      const mail = await mails.compose(fact)
      if (mail) await mailer.send({ ...mail, messageId: `<${fact.id}@${domain}>` })
    },
  })
  app.facts.carry(INVOICE_FINALIZED, async ({ id, organizationId, payload }) => {
    await onFinalized?.(organizationId)
    await jobs.add(id, { id, organizationId, invoiceId: String(payload.invoiceId) })
  })
  app.addHook('onReady', async () => jobs.start())
  app.addHook('preClose', async () => {
    await jobs.stop()
    mailer.close()
  })
}
