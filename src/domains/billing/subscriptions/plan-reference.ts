import type { Plan } from '../catalog/schemas.ts'
import { priceOf } from '../pricing/price-of.ts'

/** Which version of which plan; a custom one is an organization's own. */
export interface PlanReference {
  planKey: string
  planVersion: number
  isCustom: boolean
}

/** A plan as somebody is on it. */
export interface Agreed {
  plan: Plan
  isCustom: boolean
}

export const referenceOf = ({ plan, isCustom }: Agreed): PlanReference => ({
  planKey: plan.key,
  planVersion: plan.version,
  isCustom,
})

export const isSamePlan = (one: PlanReference, other: PlanReference): boolean =>
  one.planKey === other.planKey && one.planVersion === other.planVersion && one.isCustom === other.isCustom

/** Minor units for each period. Where it is left to an agreement, nothing was agreed. */
export const baseOf = ({ plan }: Agreed): bigint => BigInt(plan.basePrice ?? 0)

const MUCH = 10n ** 18n

/** Whether the plan can come to cost anything. */
export const pays = (agreed: Agreed): boolean =>
  baseOf(agreed) > 0n || agreed.plan.metered.some(({ price }) => priceOf(price, MUCH).amount > 0n)
