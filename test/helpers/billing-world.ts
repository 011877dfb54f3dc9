import type { Test } from 'tap'
import {
  createCatalogService,
  createMetersService,
  createSubscriptionsService,
  openInvoices,
} from '../../src/domains/billing/index.ts'
import { keptFromMs } from '../../src/domains/projects/index.ts'
import { newId } from '../../src/ids.ts'
import { createClickHouse } from '../../src/infra/clickhouse.ts'
import { createPostgres } from '../../src/infra/postgres.ts'
import type { Copy } from './naive-meter.ts'
import { storeCopies } from './naive-meter.ts'
import { startTestServices } from './services.ts'
import { createTenant, type TestTenant } from './tenants.ts'

export const HOUR_MS = 3_600_000
export const DAY_MS = 24 * HOUR_MS
export const SELLER = { name: 'Meterhouse GmbH', address: ['1 Main Street', '10115 Berlin'], taxId: 'DE123456789' }

/** Billing on real stores with a clock that a test moves. Everything that was sent counts as stored at once. */
export async function startBillingWorld(t: Test, start: string, overrides: Record<string, string> = {}) {
  const { config, environment, postgresAdminUrl } = await startTestServices(t, overrides)
  const postgres = createPostgres(config.postgres)
  const clickhouse = createClickHouse(config.clickhouse)
  t.teardown(async () => {
    await postgres.close()
    await clickhouse.close()
  })
  let now = new Date(start)
  const clock = () => now
  const catalog = createCatalogService({ postgres })
  const meters = createMetersService({ postgres, clickhouse, clock })
  const subscriptions = createSubscriptionsService({ postgres, catalog, defaultPlanKey: 'free', clock })
  const options = {
    postgres,
    meters,
    plans: catalog,
    keptFromMs,
    clock,
    seller: SELLER,
    numberPrefix: 'INV-',
    creditNotePrefix: 'CRN-',
    dueMs: 30 * DAY_MS,
    graceMs: 24 * HOUR_MS,
    storedThrough: async () => now,
  }
  return {
    config,
    environment,
    postgresAdminUrl,
    postgres,
    clickhouse,
    catalog,
    meters,
    subscriptions,
    options,
    invoices: openInvoices(options),
    now: () => now,

    /** Moves the clock and lets everything happen that is due by then. */
    async to(time: string | Date) {
      now = new Date(time)
      const { errors } = await subscriptions.advance(now)
      if (errors.length > 0) throw new AggregateError(errors)
    },

    tenant: (planKey: string): Promise<TestTenant> => createTenant(postgres, 'owner', { planKey, clock }),

    /** Events at a time, received then or later. */
    async send(
      { organizationId, projectId }: TestTenant,
      count: number,
      { at, receivedAt = at, messageId }: { at: string; receivedAt?: string; messageId?: string },
    ) {
      const copies = Array.from({ length: count }, (_, index): Copy => {
        return {
          organizationId,
          projectId,
          event: 'Called',
          messageId: messageId ?? newId('evt'),
          timestampMs: Date.parse(at) + index,
          receivedMs: Date.parse(receivedAt) + index,
          properties: '{}',
        }
      })
      await storeCopies({ clickhouse }, copies)
    },
  }
}
export type BillingWorld = Awaited<ReturnType<typeof startBillingWorld>>
