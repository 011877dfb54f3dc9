import type { Config } from '../../../src/config.ts'
import {
  createCatalogService,
  createChangesService,
  createCouponsService,
  createMetersService,
  createSubscriptionsService,
  openInvoices,
} from '../../../src/domains/billing/index.ts'
import { keptFromMs } from '../../../src/domains/projects/index.ts'
import { createClickHouse } from '../../../src/infra/clickhouse.ts'
import { createPostgres } from '../../../src/infra/postgres.ts'

const HOUR_MS = 3_600_000
export const GRACE_MS = 24 * HOUR_MS
const DUE_MS = 30 * 24 * HOUR_MS
const SELLER = { name: 'Meterhouse GmbH', address: ['1 Main Street'], taxId: 'DE123456789' }

/** The billing of one process, on stores that others use as well. What was received by its clock counts as stored. */
export function openBilling(config: Config, clock: () => Date) {
  const postgres = createPostgres(config.postgres)
  const clickhouse = createClickHouse(config.clickhouse)
  const catalog = createCatalogService({ postgres })
  const meters = createMetersService({ postgres, clickhouse, clock })
  const subscriptions = createSubscriptionsService({ postgres, catalog, defaultPlanKey: 'free', clock })
  const invoices = openInvoices({
    postgres,
    meters,
    plans: catalog,
    clock,
    seller: SELLER,
    numberPrefix: 'INV-',
    creditNotePrefix: 'CRN-',
    dueMs: DUE_MS,
    graceMs: GRACE_MS,
    storedThrough: async () => clock(),
    keptFromMs,
  })

  return {
    postgres,
    clickhouse,
    catalog,
    meters,
    subscriptions,
    invoices,
    changes: createChangesService({ subscriptions, catalog }),
    coupons: createCouponsService({ postgres, clock }),

    /** Everything that is due by the clock: periods end, and bills are made. Throws where anything failed. */
    async work(): Promise<void> {
      const { errors } = await subscriptions.advance(clock())
      if (errors.length > 0) throw new AggregateError(errors, 'periods could not be ended')
      await invoices.invoiceDue()
    },

    async close(): Promise<void> {
      await postgres.close()
      await clickhouse.close()
    },
  }
}
export type Billing = ReturnType<typeof openBilling>
