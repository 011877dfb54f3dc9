import type { Redis } from 'ioredis'
import type { ClickHouse, ProjectScope } from '../../infra/clickhouse.ts'
import { eraseEventsBefore, readDirty, shardOf } from '../events/index.ts'
import type { Retention } from '../projects/index.ts'
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
  async function isCounted({ organizationId, projectId }: ProjectScope, beforeMs: number): Promise<boolean> {
    const { hours } = await readDirty(redis, shardOf(organizationId, shards), MARKS_MAX)
    if (hours.length === MARKS_MAX) return false
    return !hours.some((mark) => mark.projectId === projectId && mark.hour * HOUR_MS < beforeMs)
  }

  /** Gives of how many projects there is now nothing that is too old; those whose count is under way wait for the next time. */
  return async function eraseDue(signal?: AbortSignal): Promise<number> {
    let erased = 0
    for (const project of await retention.listDue(now())) {
      if (signal?.aborted) break
      const { organizationId, projectId, beforeMs } = project
      if (beforeMs !== undefined) {
        if (!(await isCounted(project, beforeMs)) || !(await retention.begin(project))) continue
        await eraseEventsBefore(clickhouse, { organizationId, projectId }, beforeMs)
        erased += 1
      }
      // Also said of one that keeps everything, so that the others have their turn.
      await retention.end(project)
    }
    return erased
  }
}
