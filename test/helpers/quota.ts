import { randomUUID } from 'node:crypto'
import { sql } from 'drizzle-orm'
import type { FastifyInstance } from 'fastify'
import { QUOTA_POLICY_CHANGED } from '../../src/domains/billing/index.ts'
import type { QuotaMode, QuotaPeriod, QuotaPolicy } from '../../src/domains/events/index.ts'
import { createQuotas } from '../../src/domains/events/quotas.ts'
import { append } from '../../src/infra/outbox.ts'
import { authorized } from './app.ts'
import type { TestTenant } from './tenants.ts'

type Owner = Pick<TestTenant, 'organizationId'>

const HOUR_MS = 3_600_000
const startsAtMs = Date.now() - HOUR_MS

/** The period that is now: of a day, of which an hour is over. */
export const period = (limit: number | null, mode: QuotaMode, changes: Partial<QuotaPeriod> = {}): QuotaPeriod => ({
  periodId: 'bpr_now',
  startsAtMs,
  endsAtMs: startsAtMs + 24 * HOUR_MS,
  limit: limit === null ? null : BigInt(limit),
  mode,
  eventsPerSecond: null,
  ...changes,
})

/** The period that follows on another, with other terms. */
export const following = ({ endsAtMs }: QuotaPeriod, limit: number, mode: QuotaMode): QuotaPeriod =>
  period(limit, mode, { periodId: 'bpr_next', startsAtMs: endsAtMs, endsAtMs: endsAtMs + 24 * HOUR_MS })

/** New events, each with an id and a time of its own. */
export const newBatch = (count: number) =>
  Array.from({ length: count }, () => ({
    event: 'Sent',
    messageId: randomUUID(),
    timestamp: new Date().toISOString(),
  }))

/** What a test says of quotas, and what it sends against them. */
export function startQuotas(app: FastifyInstance, shards: number) {
  const quotas = createQuotas({ redis: app.ingestRedis, shards })
  return {
    quotas,
    async limit({ organizationId }: Owner, current: QuotaPeriod, rest: Partial<QuotaPolicy> = {}) {
      const ticket = await quotas.ticket(organizationId)
      return quotas.write({ organizationId, stopped: null, next: null, current, ...rest }, ticket)
    },
    used: async ({ organizationId }: Owner) => (await quotas.read(organizationId))?.used,
    send: (tenant: TestTenant, payload: object, url = '/v1/events') =>
      app.inject(authorized(tenant.writeKey, { method: 'POST', url, payload })),
  }
}

/** Sets what the operator allows an organization in place of its plan, and tells the processes. */
export function override(
  { postgres }: Pick<FastifyInstance, 'postgres'>,
  { organizationId }: Owner,
  limit: number,
  mode: QuotaMode,
) {
  const text = JSON.stringify({ perPeriod: String(limit), mode })
  return postgres.withTenant(organizationId, async (tx) => {
    await tx.execute(
      sql`update billing_accounts set limit_override = ${text}::jsonb where organization_id = ${organizationId}`,
    )
    await append(tx, { organizationId, kind: QUOTA_POLICY_CHANGED, payload: {} })
  })
}
