import type { ClickHouse } from '../../infra/clickhouse.ts'

/** The tables of the event store that hold what organizations sent. */
const TABLES = ['events', 'quarantined_events']

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
