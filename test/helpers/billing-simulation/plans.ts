import type { PlanTerms } from '../../../src/domains/billing/catalog/schemas.ts'
import type { Price } from '../../../src/domains/billing/pricing/price.ts'
import { flatPlan } from '../plans.ts'

const metered = (price: Price) => [{ meter: 'events', price }]

/** Versions of public plans that are added to those of the seed, small enough that few events go beyond what is included. */
export const PUBLIC_PLANS: Record<string, { baseVersion: number; terms: PlanTerms }[]> = {
  pro: [
    {
      baseVersion: 1,
      terms: {
        ...flatPlan,
        name: 'Pro',
        basePrice: '4900',
        trialDays: 14,
        metered: metered({
          model: 'graduated',
          included: '60',
          tiers: [
            { upTo: '50', unitAmount: '1.25' },
            { upTo: '120', unitAmount: '0.83333', flatAmount: '99' },
            { upTo: null, unitAmount: '0.501' },
          ],
        }),
      },
    },
    {
      baseVersion: 2,
      terms: {
        ...flatPlan,
        name: 'Pro',
        basePrice: '5999',
        trialDays: 14,
        metered: metered({ model: 'perUnit', included: '40', unitAmount: '0.777777777777' }),
      },
    },
  ],
  basic: [
    {
      baseVersion: 0,
      terms: {
        ...flatPlan,
        name: 'Basic',
        basePrice: '901',
        metered: metered({ model: 'package', included: '20', packageSize: '7', packageAmount: '33', minimum: '250' }),
      },
    },
  ],
  yearly: [
    {
      baseVersion: 0,
      terms: {
        ...flatPlan,
        name: 'Pro, yearly',
        interval: 'year',
        basePrice: '49001',
        metered: metered({ model: 'perUnit', included: '100', unitAmount: '1.5' }),
      },
    },
  ],
  euro: [
    {
      baseVersion: 0,
      terms: {
        ...flatPlan,
        name: 'Euro',
        currency: 'EUR',
        basePrice: '3333',
        metered: metered({
          model: 'volume',
          tiers: [
            { upTo: '80', unitAmount: '2.5' },
            { upTo: null, unitAmount: '1.05', flatAmount: '10' },
          ],
        }),
      },
    },
  ],
}

const EVENTS: readonly Price[] = [
  {
    model: 'graduated',
    included: '30',
    tiers: [
      { upTo: '40', unitAmount: '3.5' },
      { upTo: null, unitAmount: '2.25' },
    ],
  },
  {
    model: 'volume',
    tiers: [
      { upTo: '100', unitAmount: '4.005', flatAmount: '7' },
      { upTo: null, unitAmount: '1.995' },
    ],
  },
  { model: 'package', included: '10', packageSize: '25', packageAmount: '199' },
  { model: 'flat', amount: '777' },
]

/** What is agreed with the nth organization alone: with meters of its own, some by the year, some with a trial. */
export const agreedPlan = (n: number): PlanTerms => ({
  ...flatPlan,
  name: `Enterprise ${n}`,
  interval: n % 4 === 3 ? 'year' : 'month',
  basePrice: String(20_000 + n * 37),
  trialDays: n % 5 === 4 ? 7 : 0,
  metered: [
    ...metered(EVENTS[n % EVENTS.length] ?? { model: 'flat', amount: '1' }),
    {
      meter: 'seats',
      price: {
        model: 'volume',
        tiers: [
          { upTo: '20', unitAmount: '15' },
          { upTo: null, unitAmount: '12.34' },
        ],
      },
    },
    {
      meter: 'calls',
      price: { model: 'perUnit', included: '5', unitAmount: '0.3335', minimum: n % 2 === 0 ? '11' : '0' },
    },
  ],
})
