import { defineProblem } from '../../errors.ts'

export const organizationNotFound = defineProblem('organizations.not_found', 404, 'Organization not found')
export const memberNotFound = defineProblem('organizations.member_not_found', 404, 'Member not found')
export const lastOwner = defineProblem('organizations.last_owner', 409, 'An organization needs an owner')

/** Of an organization that is absent and of one that the asker is no member of: the two must look the same. */
export const noSuchOrganization = () => organizationNotFound('There is no such organization.')
