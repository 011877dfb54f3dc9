// Holds all counts of usage against each other: node scripts/launch.js run scripts/reconcile.ts [-- --organization org_…]
// A JSON line for each disagreement, and one at the end that sums them up; exits with 1 where there is one.
import { once } from 'node:events'
import { parseArgs } from 'node:util'
import { loadConfig } from '../src/config.ts'
import {
  createCatalogService,
  createMetersService,
  createVerifyingService,
  openReconciliation,
} from '../src/domains/billing/index.ts'
import { keptFromMs } from '../src/domains/projects/index.ts'
import { createClickHouse } from '../src/infra/clickhouse.ts'
import { createPostgres } from '../src/infra/postgres.ts'
import { createRedis } from '../src/infra/redis.ts'

const { values } = parseArgs({
  args: process.argv.slice(2).filter((argument) => argument !== '--'),
  options: { organization: { type: 'string' } },
})
const { organization } = values
if (organization !== undefined && !/^org_[0-9a-z]{26}$/.test(organization)) {
  console.error('Give --organization org_… or nothing')
  process.exit(2)
}
const config = loadConfig()
const postgres = createPostgres({ url: config.postgres.url, poolMax: 2 })
const clickhouse = createClickHouse(config.clickhouse)
const ingestRedis = createRedis(config.redis.ingestUrl)
try {
  await once(ingestRedis, 'ready')
  const { reconcile, organizations } = openReconciliation(
    { postgres, clickhouse, ingestRedis },
    {
      shards: config.ingest.shards,
      invoices: createVerifyingService({
        postgres,
        keptFromMs,
        plans: createCatalogService({ postgres }),
        meters: createMetersService({ postgres, clickhouse }),
      }),
      signal: new AbortController().signal,
    },
  )
  const sums = { organizations: 0, door: 0, windows: 0, invoices: 0, stripe: 0 }
  for await (const organizationId of organization === undefined ? organizations() : [organization]) {
    sums.organizations += 1
    for (const drift of await reconcile(organizationId, new Date(0))) {
      sums[drift.check] += 1
      console.log(JSON.stringify(drift))
    }
  }
  console.log(JSON.stringify(sums))
  if (sums.door + sums.windows + sums.invoices + sums.stripe > 0) process.exitCode = 1
} finally {
  ingestRedis.disconnect()
  await Promise.all([postgres.close(), clickhouse.close()])
}
