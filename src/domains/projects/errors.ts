import { defineProblem } from '../../errors.ts'

export const projectNotFound = defineProblem('projects.not_found', 404, 'Project not found')
export const keyNotFound = defineProblem('projects.key_not_found', 404, 'Key not found')
