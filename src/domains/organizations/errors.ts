import { defineProblem } from '../../errors.ts'

export const organizationNotFound = defineProblem('organizations.not_found', 404, 'Organization not found')
export const memberNotFound = defineProblem('organizations.member_not_found', 404, 'Member not found')
export const invitationNotFound = defineProblem('organizations.invitation_not_found', 404, 'Invitation not found')
export const alreadyMember = defineProblem('organizations.already_member', 409, 'Already a member')
export const alreadyInvited = defineProblem('organizations.already_invited', 409, 'Already invited')
export const notBeingDeleted = defineProblem('organizations.not_being_deleted', 409, 'There is no deletion to cancel')
export const lastOwner = defineProblem('organizations.last_owner', 409, 'An organization needs an owner')

/** Of an organization that is absent and of one that the asker is no member of: the two must look the same. */
export const noSuchOrganization = () => organizationNotFound('There is no such organization.')
