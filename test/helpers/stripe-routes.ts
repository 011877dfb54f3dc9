import { StripeFault, type StripeObject, type StripeState } from './stripe-state.ts'

type Form = Record<string, unknown>

/** `a[b][0][c]=x` as Stripe's libraries write it. */
export function readForm(text: string): Form {
  const form: Form = {}
  for (const [name, value] of new URLSearchParams(text)) {
    const [first = '', ...rest] = name.replaceAll(']', '').split('[')
    let node = form
    let key = first
    for (const part of rest) {
      node[key] ??= {}
      node = node[key] as Form
      key = part
    }
    node[key] = value
  }
  return form
}

const listOf = (value: unknown): unknown[] => (value ? Object.values(value as object) : [])

function page(form: Form, all: StripeObject[]) {
  const limit = Number(form.limit ?? 10)
  const start = form.starting_after ? all.findIndex(({ id }) => id === form.starting_after) + 1 : 0
  return { object: 'list', data: all.slice(start, start + limit), has_more: start + limit < all.length, url: '/' }
}

const need = (form: Form, name: string): string => {
  const value = form[name]
  if (typeof value !== 'string') throw new StripeFault(400, `Missing required param: ${name}.`, 'parameter_missing')
  return value
}

type Handler = (state: StripeState, form: Form, id: string) => unknown

/** By method and path, with `:id` for an id. */
const HANDLERS: Record<string, Handler> = {
  'POST /v1/customers': (state, { metadata = {} }) => state.put('cus', 'customer', { metadata }),
  'GET /v1/customers/:id': (state, _form, id) => state.get(id),

  'POST /v1/products': (state, form) => {
    const id = need(form, 'id')
    if (state.objects.has(id)) throw new StripeFault(400, 'Product already exists.', 'resource_already_exists')
    const product = { id, object: 'product', name: need(form, 'name'), active: true }
    state.objects.set(id, product)
    return product
  },
  'POST /v1/prices': (state, form) => {
    state.get(need(form, 'product'))
    const taken = state.list('price').some(({ lookup_key }) => lookup_key === form.lookup_key)
    if (taken) throw new StripeFault(400, 'A price already uses that lookup key.')
    return state.put('price', 'price', { metadata: {}, active: true, ...form })
  },
  'GET /v1/prices': (state, form) => {
    const keys = new Set(listOf(form.lookup_keys))
    return page(
      form,
      state.list('price').filter(({ lookup_key }) => keys.has(lookup_key)),
    )
  },

  'POST /v1/checkout/sessions': (state, form) => {
    state.get(need(form, 'customer'))
    const items = listOf(form.line_items) as { price: string }[]
    for (const { price } of items) state.get(price)
    const { trial_period_days: trialDays = '0', metadata = {} } = (form.subscription_data ?? {}) as Form
    const session = state.put('cs_test', 'checkout.session', {
      customer: form.customer,
      client_reference_id: form.client_reference_id,
      status: 'open',
      url: '',
      subscription: null,
      priceIds: items.map(({ price }) => price),
      trialDays: Number(trialDays),
      metadata,
    })
    session.url = `https://checkout.stripe.com/c/pay/${session.id}`
    return session
  },
  'GET /v1/checkout/sessions/:id': (state, _form, id) => state.get(id),
  'POST /v1/checkout/sessions/:id/expire': (state, _form, id) => {
    const session = state.get(id)
    if (session.status !== 'open') throw new StripeFault(400, 'Only open sessions can be expired.')
    Object.assign(session, { status: 'expired', url: null })
    state.emit('checkout.session.expired', session)
    return session
  },
  'POST /v1/billing_portal/sessions': (state, form) => {
    state.get(need(form, 'customer'))
    const session = state.put('bps', 'billing_portal.session', { return_url: form.return_url, url: '' })
    session.url = `https://billing.stripe.com/p/session/${session.id}`
    return session
  },

  'GET /v1/subscriptions': (state, form) =>
    page(
      form,
      state.list('subscription').filter(({ customer }) => form.customer === undefined || customer === form.customer),
    ),
  'GET /v1/subscriptions/:id': (state, _form, id) => state.get(id),
  'GET /v1/invoices': (state, form) => {
    const gte = Number((form.created as Form | undefined)?.gte ?? 0)
    const own = state.list('invoice').filter(({ customer }) => customer === need(form, 'customer'))
    return page(form, own.filter(({ created }) => Number(created) >= gte).reverse())
  },
  'GET /v1/invoices/:id': (state, _form, id) => state.get(id),
  'GET /v1/events': (state, form) => {
    const gte = Number((form.created as Form | undefined)?.gte ?? 0)
    return page(form, state.events.filter(({ created }) => created >= gte).reverse())
  },

  'GET /v1/billing/meters': (state, form) => page(form, state.list('billing.meter')),
  'POST /v1/billing/meters': (state, form) => {
    const name = need(form, 'event_name')
    if (state.list('billing.meter').some(({ event_name }) => event_name === name))
      throw new StripeFault(400, 'An active meter has that event name.')
    return state.put('mtr', 'billing.meter', { ...form, status: 'active' })
  },
  'POST /v1/billing/meter_events': (state, form) => {
    const name = need(form, 'event_name')
    const payload = form.payload as { stripe_customer_id: string; value: string }
    if (!/^-?\d+$/.test(payload.value)) throw new StripeFault(400, 'The value is not a whole number.')
    state.get(payload.stripe_customer_id)
    const [identifier, at] = [need(form, 'identifier'), Number(form.timestamp)]
    state.takeMeterEvent({ customer: payload.stripe_customer_id, name, identifier, value: BigInt(payload.value), at })
    return { object: 'billing.meter_event', created: state.clock.seconds, event_name: name, identifier, payload }
  },
  'GET /v1/billing/meters/:id/event_summaries': (state, form, id) => {
    const { event_name: name } = state.get(id)
    const [from, to] = [Number(form.start_time), Number(form.end_time)]
    const own = state.meterEvents.filter(
      (one) => one.name === name && one.customer === form.customer && one.at >= from && one.at < to,
    )
    const total = own.reduce((sum, { value }) => sum + value, 0n)
    const data =
      own.length === 0
        ? []
        : [
            {
              id: 'mtrusg_1',
              object: 'billing.meter_event_summary',
              aggregated_value: Number(total),
              start_time: from,
              end_time: to,
              meter: id,
            },
          ]
    return { object: 'list', data, has_more: false, url: '/' }
  },
}

const PATTERNS = Object.entries(HANDLERS).map(([route, handler]) => {
  const [method, path = ''] = route.split(' ')
  return { method, pattern: new RegExp(`^${path.replace(':id', '([^/]+)')}$`), handler }
})

/** What Stripe would answer. A route that nobody here knows is a fault of the test. */
export function answerOf(state: StripeState, method: string, path: string, form: Form): unknown {
  for (const one of PATTERNS) {
    const match = one.method === method ? path.match(one.pattern) : null
    if (match) return one.handler(state, form, decodeURIComponent(match[1] ?? ''))
  }
  throw new StripeFault(404, `Unrecognized request URL (${method}: ${path}).`)
}
