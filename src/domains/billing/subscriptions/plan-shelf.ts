import { LRUCache } from 'lru-cache'
import type { Plan } from '../catalog/schemas.ts'
import type { Agreed, PlanReference } from './plan-reference.ts'

const SIZE = 10_000

interface PlanSource {
  planVersion: (planKey: string, version?: number) => Promise<Plan>
  customPlan: (organizationId: string, planKey: string, version?: number) => Promise<Plan>
}

/**
 * Versions of plans as this process has read them. They never change, so they are kept; and a transaction that holds a lock can take
 * them from here and needs no second connection.
 */
export function createPlanShelf(source: PlanSource) {
  const plans = new LRUCache<string, Plan>({ max: SIZE })
  const keyOf = (organizationId: string, { planKey, planVersion, isCustom }: PlanReference) =>
    `${isCustom ? organizationId : ''} ${planKey} ${planVersion}`

  const read = (organizationId: string, { planKey, planVersion, isCustom }: PlanReference): Promise<Plan> =>
    isCustom ? source.customPlan(organizationId, planKey, planVersion) : source.planVersion(planKey, planVersion)

  return {
    async fetch(organizationId: string, reference: PlanReference): Promise<Agreed> {
      const key = keyOf(organizationId, reference)
      const plan = plans.get(key) ?? (await read(organizationId, reference))
      plans.set(key, plan)
      return { plan, isCustom: reference.isCustom }
    },
    /** Undefined for one that was not fetched. */
    peek(organizationId: string, reference: PlanReference): Agreed | undefined {
      const plan = plans.get(keyOf(organizationId, reference))
      return plan && { plan, isCustom: reference.isCustom }
    },
  }
}
export type PlanShelf = ReturnType<typeof createPlanShelf>
