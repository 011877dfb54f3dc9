import { randomOf } from './stripe-double.ts'
import type { Invoice, StripeObject, StripeState, Subscription } from './stripe-state.ts'

const HOUR_SECONDS = 3600

/** What happens to customers at Stripe, step by step: the same steps for the same seed. Each step makes one event or more. */
export function createHistory(state: StripeState, { customers, seed }: { customers: string[]; seed: number }) {
  const random = randomOf(seed)
  const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)] as T
  const prices = [1, 2, 3].map((version) => makePrice(state, version))
  const own = (object: string, customer: string) => state.list(object).filter((one) => one.customer === customer)
  const liveOf = (customer: string) =>
    (own('subscription', customer) as Subscription[]).find(({ status }) => status !== 'canceled')

  function start(customer: string): void {
    const session = state.put('cs_test', 'checkout.session', {
      customer,
      status: 'open',
      subscription: null,
      priceIds: [pick(prices)],
      trialDays: random() < 0.3 ? 14 : 0,
      metadata: {},
    })
    state.completeCheckout(session.id)
  }

  function retryOpen(customer: string): void {
    const open = (own('invoice', customer) as Invoice[]).filter(({ status }) => status === 'open')
    if (open.length > 0) state.retry(pick(open).id, { isDeclined: random() < 0.5 })
  }

  return {
    step(): void {
      state.clock.seconds += Math.floor(random() * HOUR_SECONDS)
      const customer = pick(customers)
      const live = liveOf(customer)
      const dice = random()
      if (!live) start(customer)
      else if (dice < 0.4) state.renew(live.id, { isDeclined: random() < 0.3 })
      else if (dice < 0.6) retryOpen(customer)
      else if (dice < 0.75) state.switchPrices(live.id, [pick(prices)])
      else if (dice < 0.9) state.wantCancel(live.id, random() < 0.5)
      else state.cancel(live.id)
    },
  }
}

function makePrice(state: StripeState, version: number): string {
  const metadata = { planKey: 'pro', planVersion: String(version), isCustom: 'false' }
  return state.put('price', 'price', { unit_amount_decimal: String(1000 * version), metadata }).id
}

/** What should be stored of Stripe in the end, read from Stripe itself. */
export function truthOf(state: StripeState): { subscriptions: string[]; invoices: string[] } {
  const time = (seconds: unknown) => (seconds ? new Date(Number(seconds) * 1000).toISOString() : null)
  const periodOf = (one: Subscription) => one.items.data[0] as StripeObject
  const planOf = (one: Subscription) =>
    ((periodOf(one).price as StripeObject).metadata as { planVersion: string }).planVersion
  const subscriptions = (state.list('subscription') as Subscription[]).map((one) => [
    ...[
      one.id,
      one.status,
      planOf(one),
      time(periodOf(one).current_period_start),
      time(periodOf(one).current_period_end),
    ],
    ...[one.cancel_at_period_end, time(one.trial_end), time(one.canceled_at)],
  ])
  const invoices = (state.list('invoice') as Invoice[]).map((one) => [
    ...[one.id, one.status, one.total, one.amount_paid, one.attempt_count, time(one.status_transitions.paid_at)],
  ])
  return { subscriptions: linesOf(subscriptions), invoices: linesOf(invoices) }
}

export const linesOf = (rows: unknown[][]): string[] => rows.map((row) => row.map(String).join(' ')).sort()
