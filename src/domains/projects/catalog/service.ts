import type { OrganizationScope } from '../../../http/access.ts'
import { newId } from '../../../ids.ts'
import type { Postgres, TenantTx } from '../../../infra/postgres.ts'
import { readSettings, toProject } from '../project.ts'
import type { NewProject, Project } from '../schemas.ts'
import { countProjects, insertProject, listProjects } from '../store.ts'

export type CatalogService = ReturnType<typeof createCatalogService>

interface Dependencies {
  postgres: Postgres
  /** Throws 409, inside the transaction that makes a project, when the organization may have no more of them. */
  roomFor: (organizationId: string) => Promise<(tx: TenantTx, count: () => Promise<number>) => Promise<void>>
}

/** The projects of an organization: which there are, and new ones. */
export function createCatalogService({ postgres, roomFor }: Dependencies) {
  return {
    async createProject({ organizationId }: OrganizationScope, input: NewProject): Promise<Project> {
      const project = { ...readSettings(input), id: newId('prj'), organizationId }
      const takeRoom = await roomFor(organizationId)
      const row = await postgres.withTenant(organizationId, async (tx) => {
        await takeRoom(tx, () => countProjects(tx))
        return insertProject(tx, project)
      })
      return toProject(row)
    },

    async listProjects({ organizationId }: OrganizationScope, page: { limit: number; after: string }) {
      const rows = await postgres.withTenant(organizationId, (tx) =>
        listProjects(tx, { ...page, limit: page.limit + 1 }),
      )
      const data = rows.slice(0, page.limit).map(toProject)
      return { data, nextCursor: rows.length > page.limit ? (data.at(-1)?.id ?? null) : null }
    },
  }
}
