import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { sql } from 'drizzle-orm'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { openStripeWork } from '../../src/domains/billing/index.ts'
import {
  stripeAccounts,
  stripeEvents,
  stripeInvoices,
  stripeSubscriptions,
} from '../../src/domains/billing/stripe/tables.ts'
import { organizations } from '../../src/domains/organizations/tables.ts'
import { eventually, startTestApp } from '../helpers/app.ts'
import { randomOf, shuffled, signedEvent, startStripeDouble } from '../helpers/stripe-double.ts'
import { makeEntitlementTables, recordEntitlements } from '../helpers/stripe-entitlements.ts'
import { createHistory, linesOf, truthOf } from '../helpers/stripe-history.ts'
import type { StripeEvent } from '../helpers/stripe-state.ts'

/** `STRIPE_EVENTS=10000 TAP_TIMEOUT=3600` is the proof at length, run by hand. */
const EVENTS = Number(process.env.STRIPE_EVENTS ?? 160)
const isProof = EVENTS > 2000
/** Of a few events a fast worker needs little time, and a slow one that is killed as often as this would never get through. */
const [KILL_EVERY_MS, KILLS_MAX] = isProof ? [3000, Number.POSITIVE_INFINITY] : [250, 3]
const CUSTOMERS = Math.max(10, EVENTS / 100)
const SEED = 4711
const WORKER = fileURLToPath(new URL('../helpers/stripe-worker.ts', import.meta.url))

/** A server with its Stripe, and customers whose ids are the same in every world. */
async function makeWorld(t: Test) {
  const double = await startStripeDouble(t)
  const services = await startTestApp(t, { ...double.environment, METERHOUSE_ROLES: 'api' })
  const { app, postgresOwnerUrl } = services
  await makeEntitlementTables(postgresOwnerUrl)
  const customers = await Promise.all(
    Array.from({ length: CUSTOMERS }, async (_, index) => {
      const organizationId = `org_${String(index).padStart(26, '0')}`
      const customerId = double.state.put('cus', 'customer', { metadata: { organizationId } }).id
      await app.postgres.withSystem(async (tx) => {
        await tx.insert(organizations).values({ id: organizationId, name: 'Test' })
        await tx.insert(stripeAccounts).values({ organizationId, customerId })
      })
      return customerId
    }),
  )
  double.state.clock.seconds = 1_790_000_000
  return { ...services, double, history: createHistory(double.state, { customers, seed: SEED }) }
}

const deliver = async (app: FastifyInstance, event: StripeEvent) => {
  const { statusCode } = await app.inject(signedEvent(event))
  if (statusCode !== 200) throw new Error(`${event.id} was answered ${statusCode}`)
}
const time = (at: Date | null) => at?.toISOString() ?? null

/** All that is stored, and all that came of it. */
const outcomeOf = (app: FastifyInstance) =>
  app.postgres.withSystem(async (tx) => {
    const subscriptions = await tx.select().from(stripeSubscriptions)
    const invoices = await tx.select().from(stripeInvoices)
    const linesBy = async (table: string) =>
      linesOf((await tx.execute(sql.raw(`select * from ${table}`))).rows.map((row) => Object.values(row)))
    return {
      subscriptions: linesOf(
        subscriptions.map((one) => [
          ...[one.id, one.status, one.planVersion, time(one.periodStartsAt), time(one.periodEndsAt)],
          ...[one.cancelAtPeriodEnd, time(one.trialEndsAt), time(one.canceledAt)],
        ]),
      ),
      invoices: linesOf(
        invoices.map((one) => [one.id, one.status, one.total, one.amountPaid, one.attempts, time(one.paidAt)]),
      ),
      entitlements: await linesBy('test_entitlements'),
      payments: await linesBy('test_payments'),
    }
  })

/** The same history, each event delivered once, in order, and worked off before anything else happens. */
async function inOrder(t: Test) {
  const { app, double, history, config } = await makeWorld(t)
  if (!config.stripe) throw new Error('Stripe is not configured')
  const { processing } = openStripeWork(app, { account: config.stripe, ports: recordEntitlements })
  let delivered = 0
  while (delivered < EVENTS) {
    history.step()
    for (; delivered < double.state.events.length; delivered++) {
      await deliver(app, double.state.events[delivered] as StripeEvent)
    }
    await processing.step()
  }
  while ((await processing.step()) > 0);
  return { outcome: await outcomeOf(app), truth: truthOf(double.state), count: double.state.events.length }
}

function startWorker(t: Test, environment: Record<string, string>) {
  let [kills, isEnded] = [0, false]
  let child: ChildProcess
  const start = () => {
    child = fork(WORKER, { env: { ...process.env, ...environment }, stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    child.once('exit', () => {
      if (!isEnded) start()
    })
    child.once('message', () => setTimeout(kill, KILL_EVERY_MS * (0.3 + Math.random())).unref())
  }
  const kill = () => {
    if (isEnded || kills === KILLS_MAX) return
    kills++
    child.kill('SIGKILL')
  }
  start()
  t.teardown(() => {
    isEnded = true
    child.kill('SIGKILL')
  })
  return { kills: () => kills }
}

t.test(
  'events shuffled, tripled and delayed, with the worker killed all the time, lead where each once and in order leads',
  async (t) => {
    const expected = await inOrder(t)
    const world = await makeWorld(t)
    const { app, double, history, environment } = world
    const worker = startWorker(t, environment)
    const random = randomOf(SEED + 1)
    const startedAtMs = performance.now()
    let waiting: StripeEvent[] = []
    let [emitted, deliveries] = [0, 0]
    while (emitted < EVENTS || waiting.length > 0) {
      // The history goes on while its events are on their way, so that what they say is old when they arrive.
      for (let steps = 0; steps < 20 && emitted < EVENTS; steps++) {
        history.step()
        for (; emitted < double.state.events.length; emitted++) {
          const event = double.state.events[emitted] as StripeEvent
          waiting.push(event, event, event)
        }
      }
      // A half of what waits arrives now, in any order; the rest is late.
      waiting = shuffled(waiting, random)
      const now = waiting.splice(0, Math.max(60, waiting.length / 2))
      for (let index = 0; index < now.length; index += 10) {
        await Promise.all(now.slice(index, index + 10).map((event) => deliver(app, event)))
      }
      deliveries += now.length
    }
    await eventually(
      'everything is worked off',
      async () => {
        const { rows } = await app.postgres.withSystem((tx) =>
          tx.execute(sql`select count(*) as n from ${stripeEvents} where status = 'pending'`),
        )
        return rows[0]?.n === '0'
      },
      10 * 60_000,
    )
    const outcome = await outcomeOf(app)
    const seconds = Math.round((performance.now() - startedAtMs) / 1000)
    t.comment(`${emitted} events, ${deliveries} deliveries, ${worker.kills()} kills, ${seconds} s`)
    t.equal(deliveries, emitted * 3)
    t.ok(worker.kills() > 0, 'the worker was killed')
    t.same(truthOf(double.state), expected.truth, 'both worlds had the same history')
    t.same(expected.outcome.subscriptions, expected.truth.subscriptions)
    t.same(expected.outcome.invoices, expected.truth.invoices)
    t.same(outcome.subscriptions, expected.truth.subscriptions)
    t.same(outcome.invoices, expected.truth.invoices)
    t.same(outcome.entitlements, expected.outcome.entitlements)
    t.same(outcome.payments, expected.outcome.payments, 'each payment was told once')
    t.ok(outcome.invoices.length > EVENTS / 10)
  },
)
