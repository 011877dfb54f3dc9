import type { OrganizationScope } from '../../../http/access.ts'
import { newId } from '../../../ids.ts'
import type { Postgres } from '../../../infra/postgres.ts'
import { readSettings, toProject } from '../project.ts'
import type { NewProject, Project } from '../schemas.ts'
import { insertProject, listProjects } from '../store.ts'

export type CatalogService = ReturnType<typeof createCatalogService>

/** The projects of an organization: which there are, and new ones. */
export function createCatalogService({ postgres }: { postgres: Postgres }) {
  return {
    async createProject({ organizationId }: OrganizationScope, input: NewProject): Promise<Project> {
      const project = { ...readSettings(input), id: newId('prj'), organizationId }
      return toProject(await postgres.withTenant(organizationId, (tx) => insertProject(tx, project)))
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
