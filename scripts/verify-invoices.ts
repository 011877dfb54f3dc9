// Computes every finalized invoice again: node scripts/launch.js run scripts/verify-invoices.ts [-- --organization org_…]
import { parseArgs } from 'node:util'
import { createCatalogService, createMetersService, createVerifyingService } from '../src/domains/billing/index.ts'
import { keptFromMs } from '../src/domains/projects/index.ts'
import { createClickHouse } from '../src/infra/clickhouse.ts'
import { createPostgres } from '../src/infra/postgres.ts'

const { values } = parseArgs({
  args: process.argv.slice(2).filter((argument) => argument !== '--'),
  options: { organization: { type: 'string' } },
})
const { METERHOUSE_POSTGRES_URL: postgresUrl, METERHOUSE_CLICKHOUSE_URL: clickhouseUrl } = process.env
const { organization } = values
if (!postgresUrl || !clickhouseUrl || (organization !== undefined && !/^org_[0-9a-z]{26}$/.test(organization))) {
  console.error('Set METERHOUSE_POSTGRES_URL and METERHOUSE_CLICKHOUSE_URL, and give --organization org_… or nothing')
  process.exit(2)
}
const postgres = createPostgres({ url: postgresUrl, poolMax: 2 })
const clickhouse = createClickHouse({ url: clickhouseUrl })
const plans = createCatalogService({ postgres })
const { verify, listInvoices } = createVerifyingService({
  postgres,
  plans,
  keptFromMs,
  meters: createMetersService({ postgres, clickhouse }),
})
let [same, different, erased] = [0, 0, 0]
try {
  for await (const { organizationId, id, number } of listInvoices(organization)) {
    const { differences, ...verification } = await verify(organizationId, id)
    if (verification.same) same++
    else if (verification.evidence === 'erased' && differences.length === 0) erased++
    else {
      different++
      console.error(`${number} (${organizationId}, ${id}) comes to something else:`)
      for (const { path, stored, computed } of differences) console.error(`  ${path}: ${stored} is now ${computed}`)
    }
  }
  console.log(`${same} invoices came to the same bytes, ${different} to others.`)
  if (erased > 0) console.log(`${erased} cannot be computed again: their events are older than they are kept.`)
  if (different > 0) process.exitCode = 1
} finally {
  await Promise.all([postgres.close(), clickhouse.close()])
}
