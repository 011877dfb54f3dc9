// Says who runs the platform: node scripts/launch.js run scripts/operator.ts EMAIL --grant|--revoke --reason TEXT
import { parseArgs } from 'node:util'
import { createOperatorsService } from '../src/domains/identity/index.ts'
import { createPostgres } from '../src/infra/postgres.ts'

const { values, positionals } = parseArgs({
  args: process.argv.slice(2).filter((argument) => argument !== '--'),
  options: { grant: { type: 'boolean' }, revoke: { type: 'boolean' }, reason: { type: 'string' } },
  allowPositionals: true,
})
const [email] = positionals
const reason = values.reason?.trim()
const url = process.env.METERHOUSE_POSTGRES_URL
if (!url || !email || positionals.length > 1 || !reason || Boolean(values.grant) === Boolean(values.revoke)) {
  console.error('Set METERHOUSE_POSTGRES_URL and give EMAIL, --grant or --revoke, and --reason TEXT')
  process.exit(2)
}
const postgres = createPostgres({ url, poolMax: 1 })
try {
  const isOperator = values.grant === true
  const userId = await createOperatorsService({ postgres }).change(email, isOperator, reason)
  if (userId) console.log(`${userId} ${isOperator ? 'runs the platform now' : 'does not run the platform any more'}.`)
  else {
    console.error(`There is no account with the address ${email}.`)
    process.exitCode = 1
  }
} finally {
  await postgres.close()
}
