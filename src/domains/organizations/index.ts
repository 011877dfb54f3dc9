export { ROLE_PERMISSIONS } from './roles.ts'
export { createOrganizationsService, type OrganizationsService } from './service.ts'
