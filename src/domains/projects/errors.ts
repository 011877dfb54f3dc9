import { defineProblem } from '../../errors.ts'

export const projectNotFound = defineProblem('projects.not_found', 404, 'Project not found')
export const keyNotFound = defineProblem('projects.key_not_found', 404, 'Key not found')
export const keyExpired = defineProblem('projects.key_expired', 409, 'The key has expired')
export const ipNotAllowed = defineProblem('key.ip_not_allowed', 403, 'The key may not be used from this address')
