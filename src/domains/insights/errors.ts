import { type FieldError, invalidRequest } from '../../errors.ts'

/** Refuses a query with all that is wrong with it. */
export function refuseFaults(faults: readonly FieldError[]): void {
  const [first] = faults
  if (!first) return
  const more = faults.length > 1 ? ` There are ${faults.length - 1} more faults.` : ''
  throw invalidRequest(`${first.path} ${first.message}.${more}`, { errors: [...faults] })
}

/** Refuses a query with one fault of one field. */
export function refuse(path: string, message: string): never {
  throw invalidRequest(`${path} ${message}.`, { errors: [{ path, message }] })
}
