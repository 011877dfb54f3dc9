import { defineProblem } from '../../errors.ts'

export const organizationNotFound = defineProblem('admin.organization_not_found', 404, 'Organization not found')
