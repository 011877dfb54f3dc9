import { append } from '../../../../infra/outbox.ts'
import type { Postgres, TenantTx } from '../../../../infra/postgres.ts'
import { NOTICE } from '../../../identity/index.ts'
import { listOwnerIds } from '../../../organizations/index.ts'
import type { InvoiceDocument } from '../../invoices/document.ts'
import type { Outlook, ReadOutlook } from '../../outlook/outlook.ts'
import { USAGE_ALERT } from '../fact-kinds.ts'
import { noticeOf } from '../notices.ts'
import * as store from '../store.ts'
import { builtInOf, type Crossing, crossingsOf, isSame, isTold, type Threshold } from '../thresholds.ts'

interface Dependencies {
  postgres: Postgres
  outlook: ReadOutlook
  /** What a period comes to. */
  estimate: (organizationId: string, periodId: string) => Promise<{ soFar: Pick<InvoiceDocument, 'net'> }>
}

export type EvaluationService = ReturnType<typeof createEvaluationService>

/**
 * Compares the usage of an organization with its thresholds. What is crossed is written down once for each period, with the fact for other
 * programs and the mails to the owners in the same transaction: whoever comes second writes nothing and tells nobody.
 */
export function createEvaluationService({ postgres, outlook, estimate }: Dependencies) {
  async function tell(tx: TenantTx, organizationId: string, crossing: Crossing, seen: Outlook): Promise<void> {
    const owners = await listOwnerIds(tx)
    const notice = noticeOf(crossing, seen)
    for (const userId of owners) await append(tx, { organizationId, kind: NOTICE, payload: { userId, ...notice } })
    const email = await store.findBillingEmail(tx)
    if (email) await append(tx, { organizationId, kind: NOTICE, payload: { email, unlessOf: owners, ...notice } })
  }

  async function write(organizationId: string, crossings: Crossing[], seen: Outlook): Promise<store.FiringRow[]> {
    const periodId = seen.period.id
    const rows = crossings.map((crossing) => ({
      ...crossing,
      organizationId,
      periodId,
      value: crossing.value.toString(),
      whole: crossing.whole?.toString() ?? null,
      firedAt: seen.now,
      mailed: isTold(crossing, crossings, seen),
    }))
    return postgres.withTenant(organizationId, async (tx) => {
      const written = await store.insertFirings(tx, rows)
      for (const row of written) {
        const { kind, meterKey, threshold, value, whole, mailed } = row
        const payload = { periodId, kind, meter: meterKey || null, threshold: String(threshold), value, whole, mailed }
        await append(tx, { organizationId, kind: USAGE_ALERT, payload })
        const crossing = crossings.find((one) => isSame(one, row))
        if (mailed && crossing) await tell(tx, organizationId, crossing, seen)
      }
      return written
    })
  }

  return {
    /** Gives what was crossed that nobody had written down before. */
    async evaluate(organizationId: string): Promise<store.FiringRow[]> {
      const own = await postgres.withTenant(organizationId, store.listAlerts)
      const seen = await outlook.read(
        organizationId,
        own.map(({ meterKey }) => meterKey),
      )
      if (!seen) return []
      const fired = await postgres.withTenant(organizationId, (tx) => store.listFirings(tx, seen.period.id))
      const wholes = seen.meters.filter(({ whole }) => whole).map(({ meter }) => meter)
      const open = distinct([...builtInOf(wholes), ...own]).filter((one) => !fired.some((row) => isSame(one, row)))
      const asksForSpend = open.some(({ kind }) => kind === 'spend')
      const spend = asksForSpend ? BigInt((await estimate(organizationId, seen.period.id)).soFar.net) : null
      const crossings = crossingsOf(open, seen, spend)
      return crossings.length > 0 ? write(organizationId, crossings, seen) : []
    },
  }
}

/** An alert of one's own may be the same as one that everybody has, for instance after a change of plan. */
const distinct = (thresholds: Threshold[]): Threshold[] =>
  thresholds
    .map(({ kind, meterKey, threshold }) => ({ kind, meterKey, threshold }))
    .filter((one, index, all) => all.findIndex((other) => isSame(one, other)) === index)
