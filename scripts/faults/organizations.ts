import { createCatalogService, createSubscriptionsService } from '../../src/domains/billing/index.ts'
import { shardOf } from '../../src/domains/events/buffer.ts'
import { organizations } from '../../src/domains/organizations/tables.ts'
import { issueKey } from '../../src/domains/projects/index.ts'
import { projects } from '../../src/domains/projects/tables.ts'
import { newId } from '../../src/ids.ts'
import { createPostgres } from '../../src/infra/postgres.ts'

export interface Organization {
  organizationId: string
  projectId: string
  writeKey: string
  apiKey: string
}

/** An organization of the given shard, with one project and a key of each kind. */
export async function createOrganization(url: string, shard: number, shards: number): Promise<Organization> {
  const postgres = createPostgres({ url, poolMax: 1 })
  const unlimited = { postgres, catalog: createCatalogService({ postgres }), defaultPlanKey: 'enterprise' }
  const scope = { organizationId: newId('org'), projectId: newId('prj') }
  while (shardOf(scope.organizationId, shards) !== shard) scope.organizationId = newId('org')
  try {
    return await postgres.withSystem(async (tx) => {
      await tx.insert(organizations).values({ id: scope.organizationId, name: 'Faults' })
      await createSubscriptionsService(unlimited).begin(tx, scope.organizationId)
      await tx.insert(projects).values({ id: scope.projectId, organizationId: scope.organizationId, name: 'Faults' })
      const write = await issueKey(tx, scope, { name: 'faults write key', kind: 'write' })
      const api = await issueKey(tx, scope, { name: 'faults API key', kind: 'api', scopes: ['query:read'] })
      return { ...scope, writeKey: write.key, apiKey: api.key }
    })
  } finally {
    await postgres.close()
  }
}
