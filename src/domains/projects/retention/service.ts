import type { ProjectScope } from '../../../http/access.ts'
import type { Postgres, TenantTx } from '../../../infra/postgres.ts'
import { keptDays } from './kept-days.ts'
import { type Kept, keepFrom, listDue, listKeptFrom, markErased } from './store.ts'

const DAY_MS = 86_400_000
const BATCH = 1000

interface Dependencies {
  postgres: Postgres
  /** How many days the plan of an organization keeps events; null keeps them for good. */
  planKeepsDays: (organizationId: string) => Promise<number | null>
}

/** A project of which nobody has looked today whether it has events that are older than it keeps them. */
export interface DueProject extends ProjectScope {
  /** What the project says; null leaves it to the plan. */
  retentionDays: number | null
  todayMs: number
  /** The midnight in UTC before which they are to be erased; undefined when all are kept. */
  beforeMs: number | undefined
}

export type Retention = ReturnType<typeof createRetention>

/** How long projects keep their events, and how far that has been carried out. */
export function createRetention({ postgres, planKeepsDays }: Dependencies) {
  /** The midnight before which a project keeps nothing; undefined when it keeps everything. */
  async function beforeMs({ organizationId, retentionDays }: Kept, todayMs: number): Promise<number | undefined> {
    const days = keptDays(retentionDays, await planKeepsDays(organizationId))
    return days === null ? undefined : todayMs - days * DAY_MS
  }

  return {
    async listDue(nowMs: number): Promise<DueProject[]> {
      const todayMs = Math.floor(nowMs / DAY_MS) * DAY_MS
      const rows = await postgres.withSystem((tx) => listDue(tx, todayMs, BATCH))
      const due: DueProject[] = []
      for (const row of rows) due.push({ ...row, todayMs, beforeMs: await beforeMs(row, todayMs) })
      return due
    },

    /**
     * From here on nothing before the midnight is counted again; only then may it be erased. Not, if the project keeps it after all,
     * or a plan that was chosen meanwhile does.
     */
    async begin(project: DueProject): Promise<boolean> {
      const { beforeMs: fromMs, todayMs, organizationId } = project
      if (fromMs === undefined || (await beforeMs(project, todayMs)) !== fromMs) return false
      return postgres.withTenant(organizationId, (tx) => keepFrom(tx, project, fromMs))
    },

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
