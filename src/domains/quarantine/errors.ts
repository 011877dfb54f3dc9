import { invalidRequest } from '../../errors.ts'

/** Refuses a request with one fault of one field. */
export function refuse(path: string, message: string): never {
  throw invalidRequest(`${path} ${message}.`, { errors: [{ path, message }] })
}
