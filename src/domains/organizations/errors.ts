import { defineProblem } from '../../errors.ts'

export const organizationNotFound = defineProblem('organizations.not_found', 404, 'Organization not found')
export const memberNotFound = defineProblem('organizations.member_not_found', 404, 'Member not found')
export const invitationNotFound = defineProblem('organizations.invitation_not_found', 404, 'Invitation not found')
export const alreadyMember = defineProblem('organizations.already_member', 409, 'Already a member')
export const alreadyInvited = defineProblem('organizations.already_invited', 409, 'Already invited')
export const notBeingDeleted = defineProblem('organizations.not_being_deleted', 409, 'There is no deletion to cancel')
export const lastOwner = defineProblem('organizations.last_owner', 409, 'An organization needs an owner')

export const organizationFrozen = defineProblem('organization.frozen', 403, 'The organization is frozen')
export const secondFactorRequired = defineProblem('auth.second_factor_required', 403, 'A second factor is required')
export const roleNotFound = defineProblem('organizations.role_not_found', 404, 'Role not found')
export const roleInUse = defineProblem('organizations.role_in_use', 409, 'Members have the role')
export const roleNameTaken = defineProblem('organizations.role_name_taken', 409, 'A role has the name')
export const tooManyRoles = defineProblem('organizations.too_many_roles', 409, 'The organization has too many roles')
export const alreadyFrozen = defineProblem(
  'organizations.freeze_state',
  409,
  'The organization is in that state already',
)

/** What members and keys of a frozen organization are told. */
export const frozenBecause = (reason: string | null) =>
  organizationFrozen(`The operator of the platform has frozen the organization: ${reason ?? ''}`)

/** What a member without a second factor is told where the organization asks for one. */
export const secondFactorFirst = () =>
  secondFactorRequired('The organization asks for a second factor. Begin with POST /v1/me/second-factor.')

/** Of an organization that is absent and of one that the asker is no member of: the two must look the same. */
export const noSuchOrganization = () => organizationNotFound('There is no such organization.')
