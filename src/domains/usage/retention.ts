import type { Redis } from 'ioredis'
import type { ClickHouse } from '../../infra/clickhouse.ts'
import { eraseEventsBefore, readDirty, shardOf } from '../events/index.ts'
import type { DueProject, Retention } from '../projects/index.ts'
import { HOUR_MS } from './recount.ts'

interface RetentionDependencies {
  redis: Redis
  shards: number
  clickhouse: ClickHouse
  retention: Retention
  now?: () => number
}

const MARKS_MAX = 100_000

/**
 * Erases what projects no longer keep. The promise: nothing that was counted shrinks. First everything of those days is counted that
 * waits for it, then it is written down that they are never counted again, and then they are erased; whatever breaks off is begun again.
 */
export function createEraser({ redis, shards, clickhouse, retention, now = Date.now }: RetentionDependencies) {
  async function isCounted({ organizationId, projectId, beforeMs }: DueProject): Promise<boolean> {
    const { hours } = await readDirty(redis, shardOf(organizationId, shards), MARKS_MAX)
    if (hours.length === MARKS_MAX) return false
    return !hours.some((mark) => mark.projectId === projectId && mark.hour * HOUR_MS < beforeMs)
  }

  /** Gives how many projects have now nothing that is too old; those whose count is under way wait for the next time. */
  return async function eraseDue(signal?: AbortSignal): Promise<number> {
    let erased = 0
    for (const project of await retention.listDue(now())) {
      if (signal?.aborted) break
      if (!(await isCounted(project)) || !(await retention.begin(project))) continue
      const { organizationId, projectId, beforeMs } = project
      await eraseEventsBefore(clickhouse, { organizationId, projectId }, beforeMs)
      await retention.end(project)
      erased += 1
    }
    return erased
  }
}
