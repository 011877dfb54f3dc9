import type { Postgres } from '../../../infra/postgres.ts'
import type { Difference } from '../invoices/difference.ts'
import type { QuotaComparison } from '../quota/recount.ts'
import { SETTLING_FACTS } from '../stripe/collecting/claims.ts'
import { readSides } from '../stripe/collecting/store.ts'
import { EVENTS_METER } from '../stripe/meters.ts'
import { findLiveSubscription } from '../stripe/store.ts'
import { billedOf, pushableHours } from '../stripe/usage/hours.ts'
import { type CountedHour, countedHours } from '../stripe/usage/queries.ts'
import { claimDrifts } from './claims.ts'
import * as store from './store.ts'

/** The sides that are held against each other, from the door to what Stripe was told and has collected. */
export const CHECKS = ['door', 'windows', 'invoices', 'stripe'] as const
export type Check = (typeof CHECKS)[number]

/** Two sides that disagree: about what, and by how much. */
export interface Drift {
  organizationId: string
  check: Check
  about: string
  detail: string
}

interface Dependencies {
  postgres: Postgres
  compareDoor: QuotaComparison
  /** By how many events the store and the windows differ in a month. */
  compareWindows: (organizationId: string, month: string) => Promise<number>
  verifyInvoice: (organizationId: string, invoiceId: string) => Promise<{ same: boolean; differences: Difference[] }>
  clock?: () => Date
}

export type ReconciliationService = ReturnType<typeof createReconciliationService>

const HOUR_MS = 3_600_000
/** What has had this long to reach Stripe, and has not, is stuck. */
const STRIPE_PATIENCE_MS = 6 * HOUR_MS
const PAGE = 100
const MONTHS = 2

/**
 * Holds every count of usage against the next one, organization by organization. It corrects nothing: who keeps a count heals it by
 * itself, and what is still wrong here is a fault that somebody has to see.
 */
export function createReconciliationService(dependencies: Dependencies) {
  const { postgres, compareDoor, compareWindows, verifyInvoice, clock = () => new Date() } = dependencies

  const checks: Record<
    Check,
    (organizationId: string, since: Date) => Promise<Omit<Drift, 'organizationId' | 'check'>[]>
  > = {
    async door(organizationId) {
      const compared = await compareDoor(organizationId)
      if (!compared || compared.difference === 0) return []
      const about = `the period from ${new Date(compared.startsAtMs).toISOString()}`
      return [{ about, detail: `the event store has ${signed(compared.difference)} than the door has counted` }]
    },

    async windows(organizationId) {
      const found = []
      for (const month of monthsBefore(clock(), MONTHS)) {
        const difference = await compareWindows(organizationId, month)
        if (difference > 0) found.push({ about: month, detail: `store and windows differ by ${difference} events` })
      }
      return found
    },

    async invoices(organizationId, since) {
      const final = await postgres.withTenant(organizationId, (tx) => store.listFinal(tx, organizationId, since))
      const found = []
      for (const { id, number } of final) {
        const { same, differences } = await verifyInvoice(organizationId, id)
        const detail = differences.map(({ path, stored, computed }) => `${path}: ${stored} is now ${computed}`)
        if (!same) found.push({ about: number ?? id, detail: detail.join('; ') })
      }
      return found
    },

    stripe: (organizationId, since) =>
      postgres.withTenant(organizationId, async (tx) => {
        const now = clock()
        const before = new Date(now.getTime() - STRIPE_PATIENCE_MS)
        const unsettled = claimDrifts(await readSides(tx, organizationId, SETTLING_FACTS), since)
        const stuck = (await store.listStuck(tx, organizationId, before)).map(({ identifier, deadAt, error }) => ({
          about: identifier,
          detail: `${deadAt ? 'given up' : 'not sent'}: ${error ?? 'never tried'}`,
        }))
        const subscription = await findLiveSubscription(tx, organizationId)
        const billed = subscription && billedOf(subscription, now)
        if (!billed) return [...unsettled, ...stuck]
        const { from } = pushableHours(billed, now)
        const span = { meterKey: EVENTS_METER, from, to: before }
        const { rows } = await tx.execute<CountedHour>(countedHours(organizationId, span))
        const told = rows.filter(({ complete }) => complete)
        const gone = await store.listUncounted(tx, organizationId, from)
        return [
          ...unsettled,
          ...stuck,
          ...told.map(({ hour, quantity, frozen }) => ({
            about: new Date(hour).toISOString(),
            detail: `${quantity} events are counted, and Stripe is told of ${frozen}`,
          })),
          ...gone.map(({ hour, quantity }) => ({
            about: hour.toISOString(),
            detail: `no events are counted, and Stripe is told of ${quantity}`,
          })),
        ]
      }),
  }

  return {
    /** Everything that disagrees in one organization; of invoices those that were made since a time. */
    async reconcile(organizationId: string, since: Date): Promise<Drift[]> {
      const found: Drift[] = []
      for (const check of CHECKS)
        for (const drift of await checks[check](organizationId, since)) found.push({ organizationId, check, ...drift })
      return found
    },

    /** All organizations in the order of their ids, page by page as they are asked for. */
    async *organizations(): AsyncGenerator<string> {
      for (let after = ''; ; ) {
        const ids = await postgres.withSystem((tx) => store.listOrganizations(tx, after, PAGE))
        yield* ids
        const last = ids.at(-1)
        if (last === undefined || ids.length < PAGE) return
        after = last
      }
    },
  }
}

const signed = (difference: number): string =>
  difference > 0 ? `${difference} events more` : `${-difference} events fewer`

/** This month and those before, as `2026-01`, in UTC. */
const monthsBefore = (now: Date, count: number): string[] =>
  Array.from({ length: count }, (_, back) =>
    new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() - back)).toISOString().slice(0, 7),
  )
