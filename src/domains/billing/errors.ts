import { defineProblem } from '../../errors.ts'

export const planNotFound = defineProblem('billing.plan_not_found', 404, 'Plan not found')
export const planChanged = defineProblem('billing.plan_changed', 409, 'The plan has changed')
export const planInvalid = defineProblem('billing.plan_invalid', 422, 'The terms of the plan cannot be used')
