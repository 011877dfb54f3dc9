import { sql } from 'drizzle-orm'
import type { Test } from 'tap'
import { createEvaluationService } from '../../src/domains/billing/alerts/evaluation/service.ts'
import { createAlertsService } from '../../src/domains/billing/alerts/service.ts'
import { questionOf } from '../../src/domains/billing/invoices/service.ts'
import { listWindows } from '../../src/domains/billing/meters/windows/store.ts'
import { createOutlookService } from '../../src/domains/billing/outlook/service.ts'
import { createSummaryService } from '../../src/domains/billing/outlook/summary/service.ts'
import { createSpendPartsService } from '../../src/domains/billing/spend/parts/service.ts'
import { createSpendService } from '../../src/domains/billing/spend/service.ts'
import type { QuotaState } from '../../src/domains/events/index.ts'
import { createUsageHours } from '../../src/domains/usage/index.ts'
import type { Acting } from '../../src/http/acting.ts'
import { newId } from '../../src/ids.ts'
import { startBillingWorld } from './billing-world.ts'
import type { TestTenant } from './tenants.ts'

/** The billing world with what organizations see of their usage; a test says what the door has counted. */
export async function startUsageWorld(t: Test, start: string) {
  const world = await startBillingWorld(t, start)
  const { postgres, meters, subscriptions, invoices } = world
  const door = new Map<string, QuotaState>()
  const clock = world.now

  /** All services anew, as another process has them. */
  const startProcess = () => {
    const outlook = createOutlookService({
      subscriptions,
      meters,
      eventHours: createUsageHours({ postgres }),
      windows: (id, { key, version, from, to }) =>
        postgres.withTenant(id, (tx) => listWindows(tx, key, version, from, to)),
      atDoor: async (organizationId) => door.get(organizationId) ?? null,
      clock,
    })
    const { estimate } = invoices
    const openPeriod = async (id: string) => (await subscriptions.current(id)).period
    return {
      outlook,
      ...createEvaluationService({ postgres, outlook, estimate }),
      alerts: createAlertsService({ postgres, meters, outlook, touch: async () => {}, clock }),
      summary: createSummaryService({ outlook, estimate }),
      spend: createSpendService({ postgres, estimate }),
      parts: createSpendPartsService({ postgres, openPeriod, estimate, questionOf, parts: meters.parts }),
    }
  }

  return {
    ...world,
    door,
    startProcess,
    ...startProcess(),

    /** Sets the usage window of an hour, as the counting of usage does. */
    async setHour({ organizationId, projectId }: TestTenant, hour: string | Date, events: number) {
      await postgres.withTenant(organizationId, (tx) =>
        tx.execute(sql`
          insert into usage_windows (organization_id, project_id, window_start, events, revision)
          values (${organizationId}, ${projectId}, ${new Date(hour).toISOString()}::timestamptz, ${events}, 1)
          on conflict (organization_id, project_id, window_start) do update set events = excluded.events`),
      )
    },

    /** What was written for others of the kinds, oldest first. */
    async facts({ organizationId }: Pick<TestTenant, 'organizationId'>, kind: string) {
      const { rows } = await postgres.withSystem((tx) =>
        tx.execute<{ payload: Record<string, unknown> }>(
          sql`select payload from outbox where organization_id = ${organizationId} and kind = ${kind} order by created_at, id`,
        ),
      )
      return rows.map(({ payload }) => payload)
    },

    actingAs: ({ userId }: TestTenant): Acting => ({
      principal: { kind: 'session', userId, sessionId: newId('ses'), expiresAtMs: 0 },
      ip: '192.0.2.7',
      userAgent: undefined,
    }),
  }
}
