import { append } from '../../../../infra/outbox.ts'
import type { Postgres, TenantTx } from '../../../../infra/postgres.ts'
import { record } from '../../../audit/index.ts'
import type { QuotaState } from '../../../events/index.ts'
import { NOTICE } from '../../../identity/index.ts'
import { listOwnerIds } from '../../../organizations/index.ts'
import { QUOTA_REACHED, QUOTA_RESUMED } from '../fact-kinds.ts'
import { isFull, isHoldingBack } from '../fullness.ts'
import { reachedNotice, resumedNotice } from '../notices.ts'
import { findUnresumed, insertTransition, type Transition } from '../store.ts'

type Period = NonNullable<QuotaState['period']>
type Kind = Transition['kind']

/**
 * Writes down what has become of the quota of an organization, given as it is now: once for each period and kind, by whichever process
 * comes first. Row, audit entry, fact and the mails to the owners are one transaction.
 */
export function createTransitions({ postgres, clock }: { postgres: Postgres; clock: () => Date }) {
  async function write(tx: TenantTx, organizationId: string, kind: Kind, period: { periodId: string; start: Date }) {
    const { periodId, start } = period
    const transition = { organizationId, periodStart: start, kind, periodId, at: clock() }
    return insertTransition(tx, transition)
  }

  async function notify(tx: TenantTx, organizationId: string, notice: { subject: string; paragraphs: string[] }) {
    for (const userId of await listOwnerIds(tx))
      await append(tx, { organizationId, kind: NOTICE, payload: { userId, ...notice } })
  }

  async function reached(tx: TenantTx, organizationId: string, period: Period): Promise<Kind[]> {
    const { periodId, limit, mode, endsAtMs } = period
    const own = { periodId, start: new Date(period.startsAtMs) }
    const written: Kind[] = []
    if (await write(tx, organizationId, 'reached', own)) {
      written.push('reached')
      await append(tx, { organizationId, kind: QUOTA_REACHED, payload: { periodId, limit: String(limit), mode } })
      await notify(tx, organizationId, reachedNotice({ limit: limit ?? 0, mode, endsAt: new Date(endsAtMs) }))
    }
    const consequence = mode === 'hard' ? 'stopped' : mode === 'hold' ? 'held' : undefined
    if (consequence && (await write(tx, organizationId, consequence, own))) written.push(consequence)
    return written
  }

  async function resumed(tx: TenantTx, organizationId: string): Promise<{ periodId: string } | undefined> {
    const before = await findUnresumed(tx)
    if (!before) return undefined
    const { periodId, periodStart } = before
    if (!(await write(tx, organizationId, 'resumed', { periodId, start: periodStart }))) return undefined
    await append(tx, { organizationId, kind: QUOTA_RESUMED, payload: { periodId } })
    await notify(tx, organizationId, resumedNotice())
    return { periodId }
  }

  return (organizationId: string, quota: QuotaState): Promise<void> =>
    postgres.withTenant(organizationId, async (tx) => {
      const { period, used } = quota
      const acts: { kind: Kind; periodId: string; after?: Record<string, unknown> }[] = []
      if (period && isFull(quota)) {
        const { periodId, limit, mode } = period
        for (const kind of await reached(tx, organizationId, period))
          acts.push({ kind, periodId, after: { limit, mode, used } })
      }
      if (!isHoldingBack(quota)) {
        const ended = await resumed(tx, organizationId)
        if (ended) acts.push({ kind: 'resumed', periodId: ended.periodId })
      }
      for (const { kind, periodId, ...rest } of acts) {
        const target = { kind: 'billing_period', id: periodId }
        await record(tx, { organizationId, by: 'system', action: `quota.${kind}`, target, ...rest })
      }
    })
}
