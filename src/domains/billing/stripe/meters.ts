import type Stripe from 'stripe'

/** The meter that is built in: the count of all events. Stripe can sum, count or take the last; other meters stay ours. */
export const EVENTS_METER = 'events'

/** How a meter of ours is called at Stripe, where the name is unique. */
export const stripeNameOf = (meterKey: string) => `meterhouse_${meterKey}`

export type Meters = ReturnType<typeof createMeters>

/** The meters at Stripe that our usage is pushed to. */
export function createMeters({ stripe }: { stripe: Stripe }) {
  const ids = new Map<string, string>()

  async function find(name: string): Promise<string | undefined> {
    for await (const meter of stripe.billing.meters.list({ status: 'active', limit: 100 })) {
      if (meter.event_name === name) return meter.id
    }
  }

  return {
    async idOf(meterKey: string): Promise<string> {
      const name = stripeNameOf(meterKey)
      const id = ids.get(meterKey) ?? (await find(name)) ?? (await create(name))
      ids.set(meterKey, id)
      return id
    },
  }

  async function create(name: string): Promise<string> {
    const meter = await stripe.billing.meters.create(
      {
        display_name: 'Events',
        event_name: name,
        default_aggregation: { formula: 'sum' },
        customer_mapping: { type: 'by_id', event_payload_key: 'stripe_customer_id' },
        value_settings: { event_payload_key: 'value' },
      },
      { idempotencyKey: `meterhouse-meter-${name}` },
    )
    return meter.id
  }
}
