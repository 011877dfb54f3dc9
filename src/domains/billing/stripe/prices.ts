import Stripe from 'stripe'
import type { Plan } from '../catalog/schemas.ts'
import type { Price, Tier } from '../pricing/price.ts'
import { planNotSold } from './errors.ts'
import { EVENTS_METER, type Meters } from './meters.ts'

/** A plan as it is sold: one of the catalog, or one agreed with an organization. */
export interface SoldPlan {
  plan: Plan
  /** Whose plan it is; undefined for a public one. */
  agreedWith: string | undefined
}

type PriceParams = Stripe.PriceCreateParams

/** What our metadata on a price says; a price without it is none of ours. */
export interface PlanReference {
  planKey: string
  planVersion: number
  isCustom: boolean
}

/**
 * Products and prices at Stripe for a version of a plan. They are known by names that we choose, so that asking twice, at once or after a
 * crash, gives the same ones and nothing has to be remembered here.
 */
export function createPrices({ stripe, meters }: { stripe: Stripe; meters: Meters }) {
  async function ensureProduct({ plan, agreedWith }: SoldPlan): Promise<string> {
    const id = ['mh', agreedWith, plan.key].filter(Boolean).join('_')
    try {
      await stripe.products.create({ id, name: plan.name })
    } catch (error) {
      if (!(error instanceof Stripe.errors.StripeError) || error.code !== 'resource_already_exists') throw error
    }
    return id
  }

  return {
    /** The items of a subscription to the plan. Throws 409 for a plan that Stripe cannot bill as we would. */
    async itemsOf(sold: SoldPlan): Promise<{ price: string; quantity?: 1 }[]> {
      const wanted = pricesOf(sold)
      const lookupKeys = wanted.map(({ lookup_key }) => lookup_key)
      const { data } = await stripe.prices.list({ lookup_keys: lookupKeys, active: true })
      const known = new Map(data.map((price) => [price.lookup_key, price.id]))
      const product = known.size < wanted.length ? await ensureProduct(sold) : ''
      return Promise.all(
        wanted.map(async ({ isMetered, ...params }) => {
          const key = params.lookup_key
          const price = known.get(key) ?? (await create(params, isMetered, product))
          return isMetered ? { price } : { price, quantity: 1 as const }
        }),
      )
    },
  }

  async function create(params: Omit<WantedPrice, 'isMetered'>, isMetered: boolean, product: string): Promise<string> {
    const meter = isMetered ? { usage_type: 'metered' as const, meter: await meters.idOf(EVENTS_METER) } : {}
    const recurring = { ...params.recurring, ...meter }
    const idempotencyKey = `meterhouse-price-${params.lookup_key}`
    return (await stripe.prices.create({ ...params, recurring, product }, { idempotencyKey })).id
  }
}
export type Prices = ReturnType<typeof createPrices>

type Scheme = Pick<
  PriceParams,
  'billing_scheme' | 'tiers_mode' | 'tiers' | 'transform_quantity' | 'unit_amount_decimal'
>

type WantedPrice = PriceParams & {
  lookup_key: string
  recurring: { interval: 'month' | 'year' }
  isMetered: boolean
}

/** Throws 409 for a plan that Stripe cannot bill, or not as we would. */
export const assertSold = (sold: SoldPlan): void => void pricesOf(sold)

/** The prices of a plan as Stripe takes them: the base in advance, usage in arrears. */
export function pricesOf({ plan, agreedWith }: SoldPlan): WantedPrice[] {
  if (plan.basePrice === null) throw planNotSold('The price of this plan is agreed with each customer.')
  if (plan.basePrice === '0') throw planNotSold('This plan costs nothing: there is nothing to buy.')
  const metadata = { planKey: plan.key, planVersion: String(plan.version), isCustom: String(agreedWith !== undefined) }
  const name = ['meterhouse', agreedWith, plan.key, `v${plan.version}`].filter(Boolean).join(':')
  const common = { currency: plan.currency.toLowerCase(), metadata, recurring: { interval: plan.interval } }
  const base = { unit_amount_decimal: Stripe.Decimal.from(plan.basePrice) }
  return [
    { ...common, ...base, lookup_key: `${name}:base`, isMetered: false },
    ...plan.metered.map(({ meter, price }) => {
      if (meter !== EVENTS_METER) throw notSold()
      return { ...common, ...schemeOf(price), lookup_key: `${name}:${meter}`, isMetered: true }
    }),
  ]
}

const notSold = () => planNotSold('Stripe cannot bill this plan as it is priced: ask for an invoice.')

/** Only what Stripe computes to the same amount: a plan that it would bill otherwise is not sold there. */
function schemeOf(price: Price): Scheme {
  const included = price.included ?? '0'
  if (price.minimum !== undefined && price.minimum !== '0') throw notSold()
  if (price.model === 'perUnit')
    return included === '0'
      ? { unit_amount_decimal: Stripe.Decimal.from(price.unitAmount) }
      : tiered('graduated', [{ upTo: null, unitAmount: price.unitAmount }], included)
  if (price.model === 'graduated') return tiered('graduated', price.tiers, included)
  if (included !== '0') throw notSold()
  if (price.model === 'volume') return tiered('volume', price.tiers, included)
  if (price.model === 'package')
    return {
      unit_amount_decimal: Stripe.Decimal.from(price.packageAmount),
      transform_quantity: { divide_by: wholeNumber(BigInt(price.packageSize)), round: 'up' },
    }
  throw notSold()
}

function tiered(mode: 'graduated' | 'volume', tiers: Tier[], included: string): Scheme {
  const free = BigInt(included)
  const first = free === 0n ? [] : [{ up_to: wholeNumber(free), unit_amount_decimal: Stripe.Decimal.zero }]
  const rest = tiers.map(({ upTo, unitAmount, flatAmount }) => ({
    up_to: upTo === null ? ('inf' as const) : wholeNumber(free + BigInt(upTo)),
    unit_amount_decimal: Stripe.Decimal.from(unitAmount),
    ...(flatAmount !== undefined && { flat_amount_decimal: Stripe.Decimal.from(flatAmount) }),
  }))
  return { billing_scheme: 'tiered', tiers_mode: mode, tiers: [...first, ...rest] }
}

/** Stripe's library takes quantities as numbers. */
function wholeNumber(count: bigint): number {
  if (count > BigInt(Number.MAX_SAFE_INTEGER)) throw notSold()
  return Number(count)
}

/** Which plan a price of ours belongs to. */
export function planOfPrice({ metadata }: Pick<Stripe.Price, 'metadata'>): PlanReference | undefined {
  const { planKey, planVersion, isCustom } = metadata
  if (!planKey || !/^[1-9]\d{0,8}$/.test(planVersion ?? '')) return undefined
  return { planKey, planVersion: Number(planVersion), isCustom: isCustom === 'true' }
}
