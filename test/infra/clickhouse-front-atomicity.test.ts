import t from 'tap'
import { residentBytes, rowsOf, startFront } from '../helpers/clickhouse-front.ts'
import { contentOf, insertBytes, jsonRows, makeTable } from '../helpers/clickhouse-rows.ts'

const front = await startFront(t)
await front.client().command({ query: 'CREATE DATABASE inserts' })
const client = front.client({ database: 'inserts' })

t.test('an equal token drops a repeated insert, and no token reaches the next one', async (t) => {
  const table = await makeTable(client)
  const insert = (id: number, token?: string) =>
    client.insert({
      table,
      values: [{ id, name: 'a' }],
      format: 'JSONEachRow',
      clickhouse_settings: token ? { insert_deduplication_token: token, insert_deduplicate: 1 } : {},
    })
  await insert(1, 'first')
  await insert(2)
  await insert(3)
  t.equal(await contentOf(client, table), '[1, "a"]\n[2, "a"]\n[3, "a"]\n', 'the token did not stick')
  await insert(4, 'first')
  t.equal(await contentOf(client, table), '[1, "a"]\n[2, "a"]\n[3, "a"]\n', 'the token was known')
  await t.rejects(insertBytes(client, table, Buffer.from('nonsense')))
  const bad = { values: [{ id: 'nonsense' }], format: 'JSONEachRow', table } as const
  await t.rejects(client.insert({ ...bad, clickhouse_settings: { insert_deduplication_token: 'failed' } }))
  await insert(5)
  await insert(6, 'failed')
  const countOf = async () => (await contentOf(client, table)).split('\n').length - 1
  t.equal(await countOf(), 5, 'a failed insert leaves no token, in the table or behind')
  await Promise.all(Array.from({ length: 40 }, (_, i) => insert(100 + i, i % 2 ? `odd ${i}` : undefined)))
  t.equal(await countOf(), 45, 'nor do inserts at the same time share one')
  const inStatement = "insert_deduplicate=1, insert_deduplication_token='in statement', async_insert=0"
  await insertBytes(client, table, jsonRows(200, 1), inStatement)
  await insertBytes(client, table, jsonRows(201, 1), inStatement)
  await insertBytes(client, table, jsonRows(202, 1))
  t.match(await contentOf(client, table), /\[200, .*\n\[202, /)
})

t.test('an insert is stored whole, as one part, or not at all', async (t) => {
  const table = await makeTable(client)
  const parts = 'SELECT rows FROM system.parts WHERE active AND database = currentDatabase() AND table = {table:String}'
  const partsOf = () => rowsOf(client, parts, { query_params: { table } })
  const many = jsonRows(0, 1_200_000, 1)
  const broken = Buffer.concat([many, Buffer.from('{"id":"nonsense"}\n')])
  await t.rejects(insertBytes(client, table, broken), { code: '27' })
  await t.rejects(insertBytes(client, table, many.subarray(0, many.length - 10)))
  t.strictSame(await partsOf(), [])
  await insertBytes(client, table, many)
  t.strictSame(await partsOf(), [{ rows: 1_200_000 }])
})

t.test('reads go on while inserts run, and see each insert whole', async (t) => {
  const table = await makeTable(client)
  const batch = 20_000
  let isInserting = true
  const insertAll = async () => {
    for (let i = 0; i < 10; i++) await insertBytes(client, table, jsonRows(i * batch, batch, 300))
  }
  const inserting = insertAll().finally(() => {
    isInserting = false
  })
  const seen: number[] = []
  while (isInserting) {
    const [row] = await rowsOf<{ n: number }>(client, `SELECT count() AS n FROM ${table}`)
    seen.push(row?.n ?? -1)
  }
  await inserting
  t.ok(seen.length > 5, `${seen.length} reads were answered`)
  t.ok(
    seen.every((n) => n % batch === 0),
    `seen: ${seen}`,
  )
  t.strictSame(await rowsOf(client, `SELECT count() AS n FROM ${table}`), [{ n: 10 * batch }])
})

t.test('readers that stop reading never hold up an insert', async (t) => {
  const table = await makeTable(client)
  const query = 'SELECT number FROM numbers(1000000000000)'
  const stuck = await Promise.all(Array.from({ length: 4 }, () => client.query({ query, format: 'JSONEachRow' })))
  await insertBytes(client, table, jsonRows(0, 1))
  for (const result of stuck) result.close()
  t.strictSame(await rowsOf(client, `SELECT count() AS n FROM ${table}`), [{ n: 1 }], 'and reads go on after them')
})

t.test('a hundred megabytes of inserts leave memory as it was before the last half', async (t) => {
  const table = await makeTable(client)
  const batch = jsonRows(0, 20_000, 370)
  const insertHalf = async (half: string) => {
    for (let i = 0; i < 7; i++) await insertBytes(client, table, batch, `insert_deduplication_token='${half} ${i}'`)
    return residentBytes(front.ready.pid)
  }
  const before = await insertHalf('first')
  const grownMb = Math.round(((await insertHalf('second')) - before) / 1e6)
  t.ok(grownMb < 150, `grew by ${grownMb} MB`)
})
