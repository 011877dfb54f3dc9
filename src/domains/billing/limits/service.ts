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
  return { roomForProject: roomFor('projects'), roomForMember: roomFor('members') }
}
