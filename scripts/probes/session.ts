// Opens the engine in this process, on one connection and without the front: node scripts/probes/session.ts DIRECTORY
import { CONNECTION_ARGUMENTS } from '../embedded/clickhouse-arguments.ts'
import { loadNativeEngine } from '../embedded/clickhouse-native.ts'
import { TABLE } from './front.ts'

const native = loadNativeEngine()
const connection = native.CreateConnection(process.argv[2] ?? '', CONNECTION_ARGUMENTS)
const run = async (sql: string) =>
  (await native.QueryAsyncConnection(connection, sql, 'TSV')).bytes.toString().trim().split('\n')

await run(TABLE)
await run("SET insert_deduplication_token = 'left behind'")
for (const id of [1, 2]) await run(`INSERT INTO t VALUES (${id}, 'x')`)
console.log(`${await run('SELECT count() FROM t')}`)
native.CloseConnection(connection)
