/** Objects of Stripe's as its API shows them: only the fields that somebody reads. */
export interface StripeObject {
  id: string
  object: string
  [field: string]: unknown
}

export interface StripeEvent extends StripeObject {
  type: string
  created: number
  livemode: boolean
  api_version: string
  data: { object: StripeObject }
}

const MONTH_SECONDS = 30 * 86_400
const DAY_SECONDS = 86_400
/** States in which an invoice can be paid or voided. */
const UNPAID = ['open', 'uncollectible']
/** How long Stripe remembers the identifier of a meter event at least, and here exactly. */
const IDENTIFIER_MEMORY_SECONDS = 86_400

export interface Subscription extends StripeObject {
  customer: string
  status: string
  created: number
  cancel_at_period_end: boolean
  canceled_at: number | null
  trial_end: number | null
  items: { object: 'list'; data: StripeObject[] }
}
export interface Invoice extends StripeObject {
  customer: string
  status: string
  attempt_count: number
  total: number
  amount_paid: number
  parent: { subscription_details: { subscription: string } }
  status_transitions: {
    paid_at: number | null
    finalized_at: number | null
    voided_at: number | null
    marked_uncollectible_at: number | null
  }
}

interface MeteredPrice extends StripeObject {
  /** As the form has it: by index. */
  tiers: Record<string, { up_to: string; unit_amount_decimal?: string }>
}

const isMetered = (price: unknown): price is MeteredPrice =>
  (price as { recurring?: { usage_type?: string } }).recurring?.usage_type === 'metered'

/** Each tier prices what lies in it; whole minor units are all that tests use. */
function graduated(tiers: MeteredPrice['tiers'], used: number): number {
  let [amount, from] = [0, 0]
  for (const { up_to, unit_amount_decimal = '0' } of Object.values(tiers)) {
    const to = up_to === 'inf' ? Infinity : Number(up_to)
    amount += Math.max(0, Math.min(used, to) - from) * Number(unit_amount_decimal)
    from = to
  }
  return amount
}

/** A failure as Stripe answers it. */
export class StripeFault extends Error {
  readonly status: number
  readonly code: string | undefined

  constructor(status: number, message: string, code?: string) {
    super(message)
    this.status = status
    this.code = code
  }
}

export type StripeState = ReturnType<typeof createStripeState>

/**
 * What Stripe would know: customers, prices, sessions, subscriptions with a clock, invoices, meters and every event that these made. Ids
 * are numbers in the order of making, so that the same history gives the same ids.
 */
export function createStripeState({ livemode = false } = {}) {
  const clock = { seconds: Math.floor(Date.now() / 1000) }
  const objects = new Map<string, StripeObject>()
  const events: StripeEvent[] = []
  const meterEvents: { customer: string; name: string; identifier: string; value: bigint; at: number; made: number }[] =
    []
  const counters = new Map<string, number>()

  const nextId = (prefix: string) => {
    const number = (counters.get(prefix) ?? 0) + 1
    counters.set(prefix, number)
    return `${prefix}_${String(number).padStart(8, '0')}`
  }

  function put<T extends Record<string, unknown>>(prefix: string, object: string, fields: T) {
    const made = { id: nextId(prefix), object, created: clock.seconds, livemode, ...fields }
    objects.set(made.id, made as unknown as StripeObject)
    return made
  }

  function get<T extends StripeObject>(id: string): T {
    const found = objects.get(id)
    if (!found) throw new StripeFault(404, `No such object: '${id}'`, 'resource_missing')
    return found as T
  }

  function emit(type: string, object: StripeObject): void {
    events.push({
      id: nextId('evt'),
      object: 'event',
      type,
      created: clock.seconds,
      livemode,
      api_version: '2026-10-28.endive',
      data: { object: structuredClone(object) },
    })
  }

  const list = (object: string) => [...objects.values()].filter((one) => one.object === object)

  function itemsOf(prices: StripeObject[], start: number, end: number): StripeObject[] {
    return prices.map((price) => ({
      id: nextId('si'),
      object: 'subscription_item',
      price,
      current_period_start: start,
      current_period_end: end,
    }))
  }

  const baseAmountOf = (subscription: Subscription): number =>
    subscription.items.data.reduce(
      (sum, { price }) => sum + (isMetered(price) ? 0 : Number((price as StripeObject).unit_amount_decimal ?? 0)),
      0,
    )

  /** What the meters have counted in a period, by the prices of the subscription. */
  function usageAmountOf({ customer, items }: Subscription, { start, end }: { start: number; end: number }): number {
    const used = meterEvents
      .filter((one) => one.customer === customer && one.at >= start && one.at < end)
      .reduce((sum, { value }) => sum + Number(value), 0)
    return items.data.reduce((sum, { price }) => sum + (isMetered(price) ? graduated(price.tiers, used) : 0), 0)
  }

  function invoiceFor(subscription: Subscription, reason: string, period: { start: number; end: number }): Invoice {
    const total =
      subscription.status === 'trialing' ? 0 : baseAmountOf(subscription) + usageAmountOf(subscription, period)
    const invoice = put('in', 'invoice', {
      customer: subscription.customer,
      status: 'draft',
      billing_reason: reason,
      currency: 'usd',
      total,
      amount_paid: 0,
      attempt_count: 0,
      period_start: period.start,
      period_end: period.end,
      parent: { type: 'subscription_details', subscription_details: { subscription: subscription.id } },
      status_transitions: { paid_at: null, finalized_at: null, voided_at: null, marked_uncollectible_at: null },
    }) as unknown as Invoice
    emit('invoice.created', invoice)
    return invoice
  }

  /** Tries to collect: an invoice that is not paid stays open and its subscription is past due. */
  function collect(invoice: Invoice, subscription: Subscription, isDeclined: boolean): void {
    if (invoice.status === 'draft') {
      invoice.status = 'open'
      invoice.status_transitions.finalized_at = clock.seconds
      emit('invoice.finalized', invoice)
    }
    invoice.attempt_count += 1
    if (isDeclined) {
      emit('invoice.payment_failed', invoice)
      setStatus(subscription, 'past_due')
      return
    }
    Object.assign(invoice, { status: 'paid', amount_paid: invoice.total })
    invoice.status_transitions.paid_at = clock.seconds
    emit('invoice.paid', invoice)
    if (subscription.status === 'past_due') setStatus(subscription, 'active')
  }

  function setStatus(subscription: Subscription, status: string): void {
    // An end is final, also where an invoice is left that nobody pays.
    if (subscription.status === status || subscription.status === 'canceled') return
    subscription.status = status
    emit('customer.subscription.updated', subscription)
  }

  const acts = {
    /** A person pays on the page of a session. */
    completeCheckout(sessionId: string): Subscription {
      const session = get(sessionId)
      if (session.status !== 'open') throw new StripeFault(400, 'This session is not open.')
      const { customer, priceIds, trialDays, metadata } = session as unknown as {
        customer: string
        priceIds: string[]
        trialDays: number
        metadata: Record<string, string>
      }
      const end = clock.seconds + (trialDays > 0 ? trialDays * DAY_SECONDS : MONTH_SECONDS)
      const subscription = put('sub', 'subscription', {
        customer,
        status: trialDays > 0 ? 'trialing' : 'active',
        cancel_at_period_end: false,
        cancel_at: null,
        canceled_at: null,
        trial_end: trialDays > 0 ? end : null,
        metadata,
        items: {
          object: 'list' as const,
          data: itemsOf(
            priceIds.map((id) => get(id)),
            clock.seconds,
            end,
          ),
        },
      }) as unknown as Subscription
      emit('customer.subscription.created', subscription)
      collect(
        invoiceFor(subscription, 'subscription_create', { start: clock.seconds, end: clock.seconds }),
        subscription,
        false,
      )
      Object.assign(session, { status: 'complete', subscription: subscription.id, url: null })
      emit('checkout.session.completed', session)
      return subscription
    },

    /** The period is over: the next one begins, or the subscription ends where that was wanted. */
    renew(id: string, { isDeclined = false } = {}): void {
      const subscription = get<Subscription>(id)
      const period = subscription.items.data[0] as unknown as {
        current_period_start: number
        current_period_end: number
      }
      if (subscription.cancel_at_period_end) {
        acts.cancel(id)
        return
      }
      const start = period.current_period_end
      const wasTrial = subscription.status === 'trialing'
      const billed = { start: wasTrial ? start : period.current_period_start, end: start }
      for (const item of subscription.items.data)
        Object.assign(item, { current_period_start: start, current_period_end: start + MONTH_SECONDS })
      if (wasTrial) subscription.status = 'active'
      emit('customer.subscription.updated', subscription)
      collect(invoiceFor(subscription, 'subscription_cycle', billed), subscription, isDeclined)
    },

    /** Stripe tries a card again. */
    retry(invoiceId: string, { isDeclined = false } = {}): void {
      const invoice = get<Invoice>(invoiceId)
      if (invoice.status !== 'open') return
      const { subscription } = invoice.parent.subscription_details
      collect(invoice, get<Subscription>(subscription), isDeclined)
    },

    /** Somebody takes an invoice back at Stripe. */
    voidInvoice(id: string): void {
      const invoice = get<Invoice>(id)
      if (!UNPAID.includes(invoice.status)) throw new StripeFault(400, `A ${invoice.status} invoice cannot be voided.`)
      invoice.status = 'void'
      invoice.status_transitions.voided_at = clock.seconds
      emit('invoice.voided', invoice)
    },

    /** Somebody gives an invoice up at Stripe; it can still be paid, or voided. */
    giveUpInvoice(id: string): void {
      const invoice = get<Invoice>(id)
      if (invoice.status !== 'open')
        throw new StripeFault(400, `A ${invoice.status} invoice cannot be marked as uncollectible.`)
      invoice.status = 'uncollectible'
      invoice.status_transitions.marked_uncollectible_at = clock.seconds
      emit('invoice.marked_uncollectible', invoice)
    },

    /** Somebody pays an invoice on the page that Stripe has for it. */
    payInvoice(id: string): void {
      const invoice = get<Invoice>(id)
      if (!UNPAID.includes(invoice.status)) throw new StripeFault(400, `A ${invoice.status} invoice cannot be paid.`)
      collect(invoice, get<Subscription>(invoice.parent.subscription_details.subscription), false)
    },

    /** Another invoice over the same period as one that is there, open for the same amount unless another is given. */
    invoiceAgain(id: string, { total }: { total?: number } = {}): Invoice {
      const first = get<Invoice>(id)
      const transitions = { ...first.status_transitions, paid_at: null, voided_at: null, marked_uncollectible_at: null }
      const { id: _id, object: _object, created: _created, ...fields } = structuredClone(first)
      const again = put('in', 'invoice', {
        ...fields,
        ...{ status: 'open', amount_paid: 0, attempt_count: 0, total: total ?? first.total },
        status_transitions: { ...transitions, finalized_at: clock.seconds },
      }) as unknown as Invoice
      emit('invoice.created', again)
      emit('invoice.finalized', again)
      return again
    },

    cancel(id: string): void {
      const subscription = get<Subscription>(id)
      if (subscription.status === 'canceled') return
      Object.assign(subscription, { status: 'canceled', canceled_at: clock.seconds })
      emit('customer.subscription.deleted', subscription)
    },

    wantCancel(id: string, isWanted: boolean): void {
      const subscription = get<Subscription>(id)
      if (subscription.status === 'canceled' || subscription.cancel_at_period_end === isWanted) return
      subscription.cancel_at_period_end = isWanted
      emit('customer.subscription.updated', subscription)
    },

    switchPrices(id: string, priceIds: string[]): void {
      const subscription = get<Subscription>(id)
      const period = subscription.items.data[0] as unknown as {
        current_period_start: number
        current_period_end: number
      }
      const prices = priceIds.map((priceId) => get(priceId))
      subscription.items.data = itemsOf(prices, period.current_period_start, period.current_period_end)
      emit('customer.subscription.updated', subscription)
    },

    deleteCustomer(id: string): void {
      for (const one of list('subscription') as Subscription[]) if (one.customer === id) acts.cancel(one.id)
      const customer = get(id)
      emit('customer.deleted', customer)
      objects.set(id, { id, object: 'customer', deleted: true })
    },
  }

  return {
    clock,
    objects,
    events,
    meterEvents,
    nextId,
    put,
    get,
    emit,
    list,
    ...acts,

    /** Stripe refuses an identifier that it remembers, and takes it again once it has forgotten. */
    takeMeterEvent(event: { customer: string; name: string; identifier: string; value: bigint; at: number }): void {
      const remembered = meterEvents.some(
        ({ identifier, made }) => identifier === event.identifier && clock.seconds - made < IDENTIFIER_MEMORY_SECONDS,
      )
      if (remembered) throw new StripeFault(400, `An event already exists with identifier ${event.identifier}.`)
      if (event.at < clock.seconds - 35 * DAY_SECONDS || event.at > clock.seconds + 300)
        throw new StripeFault(400, 'The timestamp is not within the past 35 days or 5 minutes ahead.')
      meterEvents.push({ ...event, made: clock.seconds })
    },
  }
}
