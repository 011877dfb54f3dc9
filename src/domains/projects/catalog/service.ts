import type { OrganizationScope } from '../../../http/access.ts'
import type { Acting } from '../../../http/acting.ts'
import { newId } from '../../../ids.ts'
import type { Postgres, TenantTx } from '../../../infra/postgres.ts'
import { record } from '../../audit/index.ts'
import { readSettings, settingsOf, toProject } from '../project.ts'
import type { RetentionLimit } from '../retention/kept-days.ts'
import type { NewProject, Project } from '../schemas.ts'
import { countProjects, insertProject, listProjects } from '../store.ts'

export type CatalogService = ReturnType<typeof createCatalogService>

interface Dependencies {
  postgres: Postgres
  /** Throws 409, inside the transaction that makes a project, when the organization may have no more of them. */
  roomFor: (organizationId: string) => Promise<(tx: TenantTx, count: () => Promise<number>) => Promise<void>>
  retentionOf: (organizationId: string) => Promise<RetentionLimit>
}

/** The projects of an organization: which there are, and new ones. */
export function createCatalogService({ postgres, roomFor, retentionOf }: Dependencies) {
  return {
    async createProject({ organizationId }: OrganizationScope, input: NewProject, by: Acting): Promise<Project> {
      const project = { ...readSettings(input), id: newId('prj'), organizationId }
      const { maxDays, assertAllows } = await retentionOf(organizationId)
      assertAllows(project.retentionDays)
      const takeRoom = await roomFor(organizationId)
      const row = await postgres.withTenant(organizationId, async (tx) => {
        await takeRoom(tx, () => countProjects(tx))
        const made = await insertProject(tx, project)
        const target = { kind: 'project', id: made.id }
        const after = settingsOf(made)
        await record(tx, { organizationId, projectId: made.id, by, action: 'project.made', target, after })
        return made
      })
      return toProject(row, maxDays)
    },

    async listProjects({ organizationId }: OrganizationScope, page: { limit: number; after: string }) {
      const rows = await postgres.withTenant(organizationId, (tx) =>
        listProjects(tx, { ...page, limit: page.limit + 1 }),
      )
      const { maxDays } = await retentionOf(organizationId)
      const data = rows.slice(0, page.limit).map((row) => toProject(row, maxDays))
      return { data, nextCursor: rows.length > page.limit ? (data.at(-1)?.id ?? null) : null }
    },
  }
}
