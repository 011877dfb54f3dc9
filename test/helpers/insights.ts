import { randomBytes } from 'node:crypto'
import { createClient } from '@clickhouse/client'
import type { Test } from 'tap'
import { ENRICHMENT_COLUMNS } from '../../src/domains/events/enrich/columns.ts'
import type { EnrichmentShape } from '../../src/domains/events/enrich/shape.ts'
import type { ProjectScope } from '../../src/http/access.ts'
import { createClickHouse } from '../../src/infra/clickhouse.ts'
import { clickHouseMigrations } from '../../src/infra/migrations.ts'

/** An event as the API shows it; what a test compares its own computations with. */
export interface TestEvent extends EnrichmentShape {
  messageId: string
  event: string
  type: string
  userId: string | null
  anonymousId: string | null
  groupId: string | null
  /** By our clock; the row holds the sender's, which is ahead by `clockSkewMs`. */
  timestamp: string
  receivedAt: string
  sentAt: string | null
  properties: Record<string, unknown>
  traits: Record<string, unknown>
  context: Record<string, unknown>
}

const COLUMNS: [string, ...string[]] = [
  'organization_id',
  'project_id',
  'event',
  'timestamp',
  'message_id',
  'type',
  'user_id',
  'anonymous_id',
  'group_id',
  'properties',
  'traits',
  'context',
  'sent_at',
  'received_at',
  ...ENRICHMENT_COLUMNS.map(([column]) => column),
]

export type EventStore = Awaited<ReturnType<typeof openEventStore>>

/** A migrated event store without the rest of the application; gone when the test ends. */
export async function openEventStore(t: Test) {
  const engineUrl = process.env.TEST_CLICKHOUSE_URL
  if (!engineUrl) throw new Error('TEST_CLICKHOUSE_URL is not set: run the tests with npm test')
  const database = `test_${randomBytes(6).toString('hex')}`
  const admin = createClient({ url: engineUrl })
  await admin.command({ query: `CREATE DATABASE ${database}` })
  const url = new URL(engineUrl)
  url.pathname = database
  const clickhouse = createClickHouse({ url: url.href })
  for (const { sql } of await clickHouseMigrations()) await clickhouse.client.command({ query: sql })
  t.teardown(async () => {
    await clickhouse.close()
    await admin.command({ query: `DROP DATABASE IF EXISTS ${database} SYNC` })
    await admin.close()
  })

  return {
    clickhouse,
    /** One insert, so one part: what is given in two calls meets only in FINAL or in a merge. */
    async insert(scope: ProjectScope, events: readonly Partial<TestEvent>[]) {
      await clickhouse.client.insert({
        table: 'events',
        columns: COLUMNS,
        values: events.map((event) => toRow(scope, newEvent(event))),
        format: 'JSONEachRow',
        clickhouse_settings: { async_insert: 0, max_partitions_per_insert_block: '1000' },
      })
    },
    /** Keeps parts as they were inserted, so that the order in which copies of an event arrived stays visible to FINAL. */
    stopMerges: () => clickhouse.client.command({ query: `SYSTEM STOP MERGES ${database}.events` }),
  }
}

const NOT_ENRICHED: EnrichmentShape = {
  ip: null,
  geo: null,
  device: null,
  source: null,
  isBot: false,
  botSignals: null,
  clockSkewMs: 0,
}

/** Parts of an enrichment that say nothing but what is given. */
export const someGeo = (given: Partial<NonNullable<EnrichmentShape['geo']>>) => ({
  country: null,
  region: null,
  city: null,
  ...given,
})
export const someDevice = (given: Partial<NonNullable<EnrichmentShape['device']>>) => ({
  type: null,
  browser: null,
  browserVersion: null,
  os: null,
  osVersion: null,
  ...given,
})
export const someSource = (given: Partial<NonNullable<EnrichmentShape['source']>>) => ({
  channel: null,
  referrerDomain: null,
  utmSource: null,
  utmMedium: null,
  utmCampaign: null,
  utmTerm: null,
  utmContent: null,
  ...given,
})

export function newEvent(given: Partial<TestEvent>): TestEvent {
  const timestamp = given.timestamp ?? '2026-03-01T12:00:00.000Z'
  return {
    messageId: randomBytes(8).toString('hex'),
    event: 'Tested',
    type: 'track',
    userId: null,
    anonymousId: null,
    groupId: null,
    timestamp,
    receivedAt: timestamp,
    sentAt: null,
    ...NOT_ENRICHED,
    properties: {},
    traits: {},
    context: {},
    ...given,
  }
}

function toRow({ organizationId, projectId }: ProjectScope, event: TestEvent): Record<string, unknown> {
  const time = (text: string) => text.replace('T', ' ').replace('Z', '')
  const { geo, device, source } = event
  return {
    organization_id: organizationId,
    project_id: projectId,
    event: event.event,
    timestamp: time(new Date(Date.parse(event.timestamp) + event.clockSkewMs).toISOString()),
    message_id: event.messageId,
    type: event.type,
    user_id: event.userId ?? '',
    anonymous_id: event.anonymousId ?? '',
    group_id: event.groupId ?? '',
    properties: event.properties,
    traits: event.traits,
    context: event.context,
    sent_at: event.sentAt && time(event.sentAt),
    received_at: time(event.receivedAt),
    ip: event.ip ?? '',
    country: geo?.country ?? '',
    region: geo?.region ?? '',
    city: geo?.city ?? '',
    browser: device?.browser ?? '',
    browser_version: device?.browserVersion ?? '',
    os: device?.os ?? '',
    os_version: device?.osVersion ?? '',
    device_type: device?.type ?? '',
    is_bot: event.isBot ? 1 : 0,
    bot_signals: event.botSignals ?? '',
    channel: source?.channel ?? '',
    referrer_domain: source?.referrerDomain ?? '',
    utm_source: source?.utmSource ?? '',
    utm_medium: source?.utmMedium ?? '',
    utm_campaign: source?.utmCampaign ?? '',
    utm_term: source?.utmTerm ?? '',
    utm_content: source?.utmContent ?? '',
    clock_skew_ms: event.clockSkewMs,
  }
}

/** Numbers from 0 to 1 that are the same for the same seed. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
