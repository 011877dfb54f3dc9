import { randomBytes } from 'node:crypto'
import { createClient } from '@clickhouse/client'
import type { Test } from 'tap'
import type { ProjectScope } from '../../src/http/access.ts'
import { createClickHouse } from '../../src/infra/clickhouse.ts'
import { clickHouseMigrations } from '../../src/infra/migrations.ts'

/** An event as the API shows it; what a test compares its own computations with. */
export interface TestEvent {
  messageId: string
  event: string
  type: string
  userId: string | null
  anonymousId: string | null
  groupId: string | null
  timestamp: string
  receivedAt: string
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
  'received_at',
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
    properties: {},
    traits: {},
    context: {},
    ...given,
  }
}

function toRow({ organizationId, projectId }: ProjectScope, event: TestEvent): Record<string, unknown> {
  const time = (text: string) => text.replace('T', ' ').replace('Z', '')
  return {
    organization_id: organizationId,
    project_id: projectId,
    event: event.event,
    timestamp: time(event.timestamp),
    message_id: event.messageId,
    type: event.type,
    user_id: event.userId ?? '',
    anonymous_id: event.anonymousId ?? '',
    group_id: event.groupId ?? '',
    properties: event.properties,
    traits: event.traits,
    context: event.context,
    received_at: time(event.receivedAt),
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
