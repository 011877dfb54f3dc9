import { defineProblem, type FieldError, invalidRequest } from '../../errors.ts'

export const versionConflict = defineProblem('tracking_plans.version_conflict', 409, 'The tracking plan has changed')
export const planFull = defineProblem('tracking_plans.too_large', 422, 'The tracking plan is too large')
export const eventNotPlanned = defineProblem(
  'tracking_plans.event_not_found',
  404,
  'The tracking plan has no such event',
)
export const versionNotFound = defineProblem(
  'tracking_plans.version_not_found',
  404,
  'The tracking plan has no such version',
)

const ERRORS_MAX = 20

/** Refuses a request with everything that is wrong with it. */
export function refuseFaults(faults: readonly FieldError[]): void {
  const [first] = faults
  if (!first) return
  const more = faults.length > 1 ? ` There are ${faults.length - 1} more faults.` : ''
  throw invalidRequest(`${first.path} ${first.message}.${more}`, { errors: faults.slice(0, ERRORS_MAX) })
}
