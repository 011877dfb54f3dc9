import type { Redis } from 'ioredis'
import { LRUCache } from 'lru-cache'
import type { ProjectScope } from '../../http/access.ts'
import type { ClickHouse } from '../../infra/clickhouse.ts'
import type { Violation } from './check.ts'
import { createCounts } from './counts.ts'
import { createInference } from './inference.ts'
import { NO_PLAN } from './plan.ts'
import { createServing, type ReadPlan } from './serving.ts'
import type * as Tools from './tool-schemas.ts'
import { toTypeScript } from './typescript.ts'

interface Dependencies {
  readPlan: ReadPlan
  clickhouse: Pick<ClickHouse, 'query'>
  redis: Redis
  log: { warn: (details: object, message: string) => void }
}

export type CheckingService = ReturnType<typeof createCheckingService>

/** What is done with plans: checking events, counting what is wrong with them, proposing schemas, generating types. */
export function createCheckingService({ readPlan, clickhouse, redis, log }: Dependencies) {
  const serving = createServing(readPlan)
  const counts = createCounts({ redis, log })
  // A version never changes, and to generate the types of a large one takes seconds.
  const generated = new LRUCache<string, string>({ max: 50 })

  return {
    expire: serving.expire,

    /** The plan of a project with which the door checks its events and counts what it finds; null when there is nothing to check. */
    async planOf(scope: ProjectScope) {
      const plan = await serving.planOf(scope)
      if (!plan) return null
      const { version, has, check, actionFor } = plan
      const count = (event: string, violations: readonly Violation[]) => counts.count(scope, event, violations)
      return { version, has, check, actionFor, count }
    },

    count: counts.count,
    stop: counts.stop,
    infer: createInference({ clickhouse }),

    /** What would happen to events now. The plan is read anew, as another process may have changed it a moment ago. */
    async check(scope: ProjectScope, events: Tools.CheckInput['events']): Promise<Tools.CheckAnswer> {
      serving.expire(scope)
      const plan = await serving.planOf(scope)
      const data = events.map((event, index): Tools.CheckAnswer['data'][number] => {
        const violations = plan?.check(event)
        return {
          index,
          action: plan && violations ? plan.actionFor(violations) : 'accept',
          violations: violations ?? [],
        }
      })
      return { version: plan?.version ?? ((await readPlan(scope, undefined)) ?? NO_PLAN).version, data }
    },

    async violations(scope: ProjectScope, { days, event, limit, cursor = '0' }: Tools.ViolationsQuery) {
      const { counts: all, other } = await counts.read(scope, days)
      const wanted = event === undefined ? all : all.filter((one) => one.event === event)
      const end = Number(cursor) + limit
      const data = wanted
        .slice(Number(cursor), end)
        .map(({ lastSeenMs, ...one }) => ({ ...one, lastSeen: new Date(lastSeenMs).toISOString() }))
      return { data, other, nextCursor: wanted.length > end ? String(end) : null }
    },

    /** TypeScript declarations of the plan as it is. */
    async types(scope: ProjectScope): Promise<string> {
      const stored = (await readPlan(scope, undefined)) ?? NO_PLAN
      const key = `${scope.projectId}@${stored.version}`
      const text = generated.get(key) ?? (await toTypeScript(scope.projectId, stored))
      generated.set(key, text)
      return text
    },
  }
}
