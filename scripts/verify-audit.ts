// Looks through an organization's audit log: node scripts/launch.js run scripts/verify-audit.ts -- --organization org_…
import { parseArgs } from 'node:util'
import { createAuditService } from '../src/domains/audit/index.ts'
import { createPostgres } from '../src/infra/postgres.ts'

const { values } = parseArgs({
  args: process.argv.slice(2).filter((argument) => argument !== '--'),
  options: { organization: { type: 'string' } },
})
const url = process.env.METERHOUSE_POSTGRES_URL
if (!url || !/^org_[0-9a-z]{26}$/.test(values.organization ?? '')) {
  console.error('Set METERHOUSE_POSTGRES_URL and give --organization org_…')
  process.exit(2)
}
const postgres = createPostgres({ url, poolMax: 1 })
try {
  const { entries, head, broken } = await createAuditService({ postgres }).verify(String(values.organization))
  console.log(head ? `${entries} entries are whole, the last with the hash ${head.hash}.` : 'No entry is whole.')
  if (broken) {
    console.error(`Entry ${broken.sequence} (${broken.id}) breaks the chain: ${broken.reason}.`)
    process.exitCode = 1
  }
} finally {
  await postgres.close()
}
