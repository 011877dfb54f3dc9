import type { ClickHouse, ProjectScope } from '../../infra/clickhouse.ts'

/** The tables of the event store that hold what organizations sent. */
const TABLES = ['events', 'quarantined_events']

const DAY = "toDate(fromUnixTimestamp64Milli({beforeMs:Int64}, 'UTC'))"
/** Events by their own day, which all copies of one share; quarantined ones by that of their receipt, as their own may not be one. */
const OLDER = { events: `toDate(timestamp) < ${DAY}`, quarantined_events: `toDate(received_at) < ${DAY}` }

/** Deletes what a project has from before a midnight in UTC, from the disk too, and waits for it. Asked again, it finds nothing. */
export async function eraseEventsBefore({ client }: ClickHouse, scope: ProjectScope, beforeMs: number): Promise<void> {
  for (const [table, isOlder] of Object.entries(OLDER)) {
    const theirs = `WHERE organization_id = {organizationId:String} AND project_id = {projectId:String} AND ${isOlder}`
    const params = { query_params: { ...scope, beforeMs } }
    // Each deletion looks at every part of the table, so none is begun for nothing.
    const found = await client.query({ query: `SELECT 1 FROM ${table} ${theirs} LIMIT 1`, format: 'JSON', ...params })
    if ((await found.json()).data.length === 0) continue
    const settings = { clickhouse_settings: { mutations_sync: '2' } } as const
    await client.command({ query: `ALTER TABLE ${table} DELETE ${theirs}`, ...params, ...settings })
  }
}

/** Deletes all that one organization has sent, from the disk too, and waits for it. Asked again, it finds nothing. */
export async function eraseEvents({ client }: ClickHouse, organizationId: string): Promise<void> {
  for (const table of TABLES) {
    await client.command({
      query: `ALTER TABLE ${table} DELETE WHERE organization_id = {organizationId:String}`,
      query_params: { organizationId },
      clickhouse_settings: { mutations_sync: '2' },
    })
  }
}
