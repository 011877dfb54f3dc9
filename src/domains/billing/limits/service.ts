import type { SystemTx, TenantTx } from '../../../infra/postgres.ts'
import type { Plan } from '../catalog/schemas.ts'
import { limitReached } from '../errors.ts'
import { lockAccount } from '../subscriptions/store.ts'

export type LimitsService = ReturnType<typeof createLimitsService>

/**
 * Makes sure, inside the transaction that adds one, that there is room for it: 409 when the plan allows no more. Whoever else adds one
 * waits until the transaction is over, so that two cannot both be the last.
 */
export type TakeRoom = (tx: TenantTx | SystemTx, count: () => Promise<number>) => Promise<void>

export interface RetentionLimit {
  /** Null keeps them for good. */
  maxDays: number | null
  assertAllows: (days: number | null | undefined) => void
}

/** What a plan limits beside events. The limit is read before the transaction, which then needs no second connection. */
export function createLimitsService({ planOf }: { planOf: (organizationId: string) => Promise<Plan> }) {
  const roomFor =
    (what: 'projects' | 'members') =>
    async (organizationId: string): Promise<TakeRoom> => {
      const { name, limits } = await planOf(organizationId)
      const limit = limits[what]
      return async (tx, count) => {
        if (limit === null) return
        await lockAccount(tx, organizationId)
        if ((await count()) >= limit)
          throw limitReached(`The plan ${name} allows ${limit} ${what}. Choose another plan for more.`)
      }
    }
  return {
    roomForProject: roomFor('projects'),
    roomForMember: roomFor('members'),

    /** How many days the plan keeps events, and 409 for whoever asks for more. A project that asks for nothing is kept that long. */
    async retentionOf(organizationId: string): Promise<RetentionLimit> {
      const { name, limits } = await planOf(organizationId)
      const maxDays = limits.retentionDays
      const assertAllows = (days: number | null | undefined) => {
        if (maxDays === null || (days ?? 0) <= maxDays) return
        throw limitReached(`The plan ${name} keeps events for ${maxDays} days. Choose another plan for more.`)
      }
      return { maxDays, assertAllows }
    },
  }
}
