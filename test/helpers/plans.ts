import type { PlanTerms } from '../../src/domains/billing/catalog/schemas.ts'

/** A plan that costs the same each month, an odd amount of minor units. */
export const flatPlan: PlanTerms = {
  name: 'Flat',
  description: '',
  currency: 'USD',
  interval: 'month',
  basePrice: '10001',
  metered: [],
  trialDays: 0,
  limits: {
    events: { perPeriod: null, mode: 'soft' },
    projects: null,
    members: null,
    retentionDays: null,
    eventsPerSecond: null,
  },
}
