import type { Postgres } from '../../../infra/postgres.ts'
import { organizationNotFound } from '../errors.ts'
import { isThere } from './store.ts'

/** An operator names any organization; a member's has been looked up by the guard. Throws 404 for one that is not there. */
export const createAssertOrganization =
  (postgres: Postgres) =>
  async (organizationId: string): Promise<void> => {
    if (await postgres.withTenant(organizationId, (tx) => isThere(tx, organizationId))) return
    throw organizationNotFound('There is no such organization.')
  }
