import type { FastifyPluginAsync } from 'fastify'
import type { Config } from '../../../config.ts'
import { openMailJobs } from '../../../infra/mail-jobs.ts'
import { inRounds } from '../../../infra/rounds.ts'
import { inTurn } from '../../../infra/turns.ts'
import { INVOICE_FINALIZED } from './fact-kinds.ts'
import type { IssuingService } from './issuing/service.ts'
import { createInvoiceMailsService, type InvoiceFact } from './mails/service.ts'

const INTERVAL_MS = 5000
/** Longer than a round takes; one that takes longer is joined by another process, which is harmless. */
const TURN_MS = 120_000

interface Options {
  config: Config
  invoices: Pick<IssuingService, 'invoiceDue'>
  /** Told of each invoice at least once, before its mail is sent. */
  onFinalized?: ((organizationId: string) => Promise<void>) | undefined
}

/** Bills what is over and what is due, and mails the invoices. */
export const invoiceJobs: FastifyPluginAsync<Options> = async (app, { config, invoices, onFinalized }) => {
  await app.register(invoiceMails, { config, onFinalized })
  inRounds(app, {
    intervalMs: INTERVAL_MS,
    work: () => inTurn(app.redis, 'invoices', TURN_MS, () => invoices.invoiceDue()),
    failure: 'invoices were not made and will be tried again',
  })
}

const invoiceMails: FastifyPluginAsync<Omit<Options, 'invoices'>> = async (app, { config, onFinalized }) => {
  const { mail, redis, http } = config
  const { compose } = createInvoiceMailsService(app)
  const options = { name: 'invoice-mails', redisUrl: redis.url, mail, publicUrl: http.publicUrl }
  const add = openMailJobs<InvoiceFact>(app, { ...options, compose })
  app.facts.carry(INVOICE_FINALIZED, async ({ id, organizationId, payload }) => {
    await onFinalized?.(organizationId)
    await add(id, { id, organizationId, invoiceId: String(payload.invoiceId) })
  })
}
