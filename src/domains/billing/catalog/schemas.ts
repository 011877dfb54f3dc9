import { Type } from '@sinclair/typebox'
import { PLAN_EXAMPLE, PlanSchema } from './plan.ts'

export { type Plan, PlanSchema, PlanTerms } from './plan.ts'

export const PlanParams = Type.Object({
  planKey: Type.String({ pattern: '^[a-z][a-z0-9-]{0,49}$', description: 'Key of the plan.', examples: ['pro'] }),
})

export const PlanPage = Type.Object(
  { data: Type.Array(PlanSchema), nextCursor: Type.Null() },
  { description: 'All plans on offer.', examples: [{ data: [PLAN_EXAMPLE], nextCursor: null }] },
)
