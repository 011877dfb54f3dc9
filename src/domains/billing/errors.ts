import { defineProblem } from '../../errors.ts'

export const planNotFound = defineProblem('billing.plan_not_found', 404, 'Plan not found')
export const planChanged = defineProblem('billing.plan_changed', 409, 'The plan has changed')
export const planInvalid = defineProblem('billing.plan_invalid', 422, 'The terms of the plan cannot be used')
export const meterNotFound = defineProblem('billing.meter_not_found', 404, 'Meter not found')
export const meterExists = defineProblem('billing.meter_exists', 409, 'There is a meter with this key')
export const meterChanged = defineProblem('billing.meter_changed', 409, 'The meter has changed')
export const tooManyMeters = defineProblem('billing.too_many_meters', 409, 'Too many meters')
