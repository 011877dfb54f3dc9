import type { FastifyInstance, FastifyPluginAsync } from 'fastify'
import type { Config, StripeAccount } from '../../../config.ts'
import { openMailJobs } from '../../../infra/mail-jobs.ts'
import { createApply } from './applying/service.ts'
import { createStripeClient } from './client.ts'
import { createCollecting } from './collecting/service.ts'
import { PAYMENT_FAILED, PROVIDER_CHANGED, STRIPE_INVOICE_GIVEN_UP, STRIPE_INVOICE_PAID } from './fact-kinds.ts'
import { factPorts } from './fact-ports.ts'
import { createFollowing, type Provided } from './following/service.ts'
import { createStripeLoops } from './loops.ts'
import { createStripeMails, type FailedPayment } from './mails/service.ts'
import type { ProviderPorts } from './ports.ts'
import { createProcessing } from './processing/service.ts'
import { createSweep } from './sweep/service.ts'
import { createUsagePush } from './usage/service.ts'

interface WorkOptions {
  account: StripeAccount
  /** What is made of what Stripe says; facts, unless a test wants otherwise. */
  ports?: ProviderPorts
  clock?: () => Date
}

/** What follows from what Stripe tells, and what it has failed to tell. Nothing here starts by itself. */
export function openStripeWork(
  { postgres, redis, metrics, log }: Pick<FastifyInstance, 'postgres' | 'redis' | 'metrics' | 'log'>,
  { account, ports = factPorts, clock = () => new Date() }: WorkOptions,
) {
  const stripe = createStripeClient(account)
  const apply = createApply({ postgres, ports })
  const onDeadLetter = (failure: string) => {
    metrics.deadJobs.inc({ queue: 'stripe' })
    log.error({ failure }, 'something for or from Stripe was tried for the last time and is set aside')
  }
  const processing = createProcessing({ stripe, postgres, apply, clock, onDeadLetter })
  const sweep = createSweep({ stripe, postgres, account, clock })
  const usage = createUsagePush({ stripe, postgres, clock, onDeadLetter })
  const push = async () => {
    await usage.freeze()
    await usage.send()
  }
  return { processing, sweep, usage, loops: () => createStripeLoops({ ...processing, ...sweep, push, redis, log }) }
}

/** Keeps what is stored as Stripe has it. */
export const stripeJobs: FastifyPluginAsync<WorkOptions> = async (app, options) => {
  const loops = openStripeWork(app, options).loops()
  app.addHook('onReady', async () => loops.start())
  app.addHook('preClose', () => loops.stop())
}

/** Settles the invoices of ours that Stripe has collected; see createCollecting. */
export function openCollecting(
  { postgres, metrics, log }: Pick<FastifyInstance, 'postgres' | 'metrics' | 'log'>,
  settling: Parameters<typeof createCollecting>[0]['settling'],
) {
  const onDiffering = (found: object) => {
    metrics.deadJobs.inc({ queue: 'stripe' })
    log.error(found, 'an invoice is not what Stripe has collected for it')
  }
  return createCollecting({ postgres, settling, onDiffering })
}

interface FollowingOptions {
  config: Config
  collect: (organizationId: string) => Promise<void>
  setFromProvider: (organizationId: string, provided: Provided) => Promise<unknown>
}

/** Lets subscriptions follow Stripe's. The relay of facts is one at a time, so that what is stored last is what they come to. */
export const stripeFollowing: FastifyPluginAsync<FollowingOptions> = async (app, options) => {
  const { setFromProvider, collect, config } = options
  const { postgres, metrics, log } = app
  const onRefused = (code: string) => {
    metrics.deadJobs.inc({ queue: 'stripe' })
    log.error({ code }, 'a subscription cannot follow its counterpart at Stripe')
  }
  const follow = createFollowing({ postgres, setFromProvider, onRefused })
  app.facts.carry(PROVIDER_CHANGED, ({ organizationId }) => follow(organizationId))
  for (const kind of [STRIPE_INVOICE_PAID, STRIPE_INVOICE_GIVEN_UP])
    app.facts.carry(kind, ({ organizationId }) => collect(organizationId))
  await app.register(stripeMails, { config })
}

const stripeMails: FastifyPluginAsync<{ config: Config }> = async (app, { config }) => {
  const { mail, redis, http } = config
  const { compose } = createStripeMails(app)
  const options = { name: 'stripe-mails', redisUrl: redis.url, mail, publicUrl: http.publicUrl }
  const add = openMailJobs<FailedPayment>(app, { ...options, compose })
  app.facts.carry(PAYMENT_FAILED, ({ id, organizationId, payload }) =>
    add(id, { id, organizationId, stripeInvoiceId: String(payload.stripeInvoiceId) }),
  )
}
