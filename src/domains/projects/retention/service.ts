import type { ProjectScope } from '../../../http/access.ts'
import type { Postgres, TenantTx } from '../../../infra/postgres.ts'
import { keepFrom, listDue, listKeptFrom, markErased } from './store.ts'

const DAY_MS = 86_400_000
const BATCH = 1000

/** A project with events that are older than it keeps them. */
export interface DueProject extends ProjectScope {
  retentionDays: number
  /** The midnight in UTC before which they are to be erased. */
  beforeMs: number
}

export type Retention = ReturnType<typeof createRetention>

/** How long projects keep their events, and how far that has been carried out. */
export function createRetention({ postgres }: { postgres: Postgres }) {
  return {
    async listDue(nowMs: number): Promise<DueProject[]> {
      const todayMs = Math.floor(nowMs / DAY_MS) * DAY_MS
      const rows = await postgres.withSystem((tx) => listDue(tx, todayMs, BATCH))
      return rows.flatMap(({ retentionDays, ...scope }) =>
        retentionDays === null ? [] : [{ ...scope, retentionDays, beforeMs: todayMs - retentionDays * DAY_MS }],
      )
    },

    /** From here on nothing before the midnight is counted again; only then may it be erased. Not, if the project keeps it after all. */
    begin: (project: DueProject): Promise<boolean> =>
      postgres.withTenant(project.organizationId, (tx) => keepFrom(tx, project, project.beforeMs)),

    /** Until this is said, the project stays due. */
    end: (project: DueProject): Promise<void> =>
      postgres.withTenant(project.organizationId, (tx) => markErased(tx, project)),
  }
}

/** The midnight from which on each project of the organization has all of its events; those that have all that came are absent. */
export async function keptFromMs(tx: TenantTx): Promise<Map<string, number>> {
  const rows = await listKeptFrom(tx)
  return new Map(rows.map(({ projectId, keptFrom }) => [projectId, keptFrom?.getTime() ?? 0]))
}
