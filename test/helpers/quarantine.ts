import type { FastifyInstance } from 'fastify'
import type { Config } from '../../src/config.ts'
import { createAdmission } from '../../src/domains/events/admit.ts'
import { packEvents } from '../../src/domains/events/pack.ts'
import { captureApart, type KeptApart } from '../../src/domains/events/quarantine-row.ts'
import { authorized, eventually } from './app.ts'
import type { TestTenant } from './tenants.ts'

/** An event for the quarantine, with what a test does not care about filled in. */
export function keptApart(
  event: Record<string, unknown> & { messageId: string },
  given: Partial<KeptApart> = {},
): KeptApart {
  return {
    messageId: event.messageId,
    retryStable: true,
    event: String(event.event),
    payload: JSON.stringify(event),
    reason: 'plan.violation',
    violations: [{ path: '/properties/total', keyword: 'type', message: 'must be number' }],
    planVersion: 3,
    receivedAtMs: Date.now(),
    sentAtMs: undefined,
    ...given,
  }
}

/** Puts events into a tenant's quarantine as the door does, and waits until its sink has stored them. */
export async function quarantine(app: FastifyInstance, config: Config, tenant: TestTenant, kept: KeptApart[]) {
  const admit = createAdmission({ redis: app.ingestRedis, ...config.ingest })
  const { verdicts } = await admit(
    tenant,
    'quarantine',
    packEvents(
      kept.map((item) => captureApart(tenant, item)),
      Date.now(),
    ),
  )
  await eventually('the storage of the quarantine', async () => {
    const { total } = (await app.inject(authorized(tenant.apiKey, { url: `${quarantineUrl(tenant)}/summary` }))).json()
    return total >= kept.length
  })
  return verdicts
}

export const quarantineUrl = ({ projectId }: TestTenant) => `/v1/projects/${projectId}/quarantine`

/** Events of a project as queries see them, by messageId. */
export async function storedEvents(app: FastifyInstance, { organizationId, projectId }: TestTenant) {
  const result = await app.clickhouse.client.query({
    query: `SELECT message_id, event, toUnixTimestamp64Milli(timestamp) AS timestampMs,
              toUnixTimestamp64Milli(received_at) AS receivedAtMs, properties
            FROM events FINAL WHERE organization_id = {organizationId:String} AND project_id = {projectId:String}
            ORDER BY message_id`,
    query_params: { organizationId, projectId },
    clickhouse_settings: { output_format_json_quote_64bit_integers: 0 },
    format: 'JSONEachRow',
  })
  return result.json<{
    message_id: string
    event: string
    timestampMs: number
    receivedAtMs: number
    properties: string
  }>()
}
