import { readdirSync } from 'node:fs'
import { request } from 'node:http'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib'
import { ClickHouseError } from '@clickhouse/client'
import t from 'tap'
import { FRONT_HEADERS, rowsOf, startFront, until } from '../helpers/clickhouse-front.ts'
import { contentOf, insertBytes, jsonRows, makeTable } from '../helpers/clickhouse-rows.ts'

const front = await startFront(t)
const admin = front.client()
await admin.command({ query: 'CREATE DATABASE IF NOT EXISTS inserts' })
const client = front.client({ database: 'inserts' })
const send = (query: string, body?: Buffer | string, headers?: Record<string, string>) =>
  front.send(new URLSearchParams({ database: 'inserts', query }), { body, headers })

t.test('rows arrive whole from objects, from a stream and from bytes, and the summary counts them', async (t) => {
  const table = await makeTable(client)
  const awkward = 'it\'s "a" \\ tab\t line\n\n;\nü 漢 😀 -- /* */ \u0000'
  const values = [{ id: 1, name: awkward }]
  const fromObjects = await client.insert({ table, values, format: 'JSONEachRow' })
  t.match(fromObjects.summary, { written_rows: /^1$/, read_rows: /^1$/, written_bytes: /^[1-9]/ })
  const stream = Readable.from([
    { id: 2, name: awkward },
    { id: 3, name: '' },
  ])
  t.hasStrict((await client.insert({ table, values: stream, format: 'JSONEachRow' })).summary, { written_rows: '2' })
  t.hasStrict(await insertBytes(client, table, jsonRows(4, 1)), { written_rows: '1' })
  const expected = [
    [1, awkward],
    [2, awkward],
    [3, ''],
    [4, 'xxxxxxxxxx'],
  ]
  const stored = (await contentOf(client, table)).trimEnd().split('\n')
  t.strictSame(
    stored.map((line) => JSON.parse(line) as unknown),
    expected,
  )
})

t.test('every way to write an INSERT stores the same rows', async (t) => {
  const expected = '[1, "a;b"]\n[2, "c"]\n'
  const ways: [query: string, body?: Buffer | string][] = [
    ["INSERT INTO $ VALUES (1, 'a;b'), (2, 'c')"],
    ["INSERT INTO inserts.$ (id, name) VALUES (1, concat('a', ';', 'b')), (1 + 1, 'c');"],
    ['INSERT INTO $ VALUES', "(1, 'a;b'),\n\n(2, 'c')"],
    [
      'insert into $ (id, name) settings max_threads = 1 format JSONEachRow',
      '{"id":1,"name":"a;b"}\n\n\n{"id":2,"name":"c"}',
    ],
    ['INSERT INTO TABLE $ -- FORMAT CSV\nFORMAT JSONCompactEachRow', '[1,"a;b"]\n[2,"c"]'],
    ['INSERT INTO $ FORMAT CSV', '1,"a;b"\n2,c\n'],
    ['INSERT INTO $ FORMAT TabSeparated', '1\ta;b\n2\tc\n'],
    [
      'INSERT INTO $ FORMAT RowBinary',
      Buffer.from('0100000000000000 03613b62 0200000000000000 0163'.replaceAll(' ', ''), 'hex'),
    ],
    ["INSERT INTO $ SELECT 1, 'a;b' UNION ALL SELECT 2, 'c'"],
    ["INSERT INTO $ WITH 2 AS two SELECT number + 1, ['a;b', 'c'][number + 1] FROM numbers(two)"],
  ]
  for (const [query, body] of ways) {
    const table = await makeTable(client)
    const statement = query.replace('$', table)
    const response = await send(statement, body)
    t.equal(response.status, 200, `${query}: ${await response.text()}`)
    t.equal(await contentOf(client, table), expected, query)
    await client.command({ query: `TRUNCATE TABLE ${table}` })
    const whole = Buffer.concat([Buffer.from(`${statement}\n`), Buffer.from(body ?? '')])
    t.equal((await send('', whole)).status, 200, `${query}, all in the body`)
    t.equal(await contentOf(client, table), expected, query)
  }
  await client.command({ query: 'CREATE TABLE `settings` (`format` UInt8, `values` UInt8) ENGINE = Memory' })
  await client.command({ query: 'INSERT INTO settings (format, values) VALUES (1, 2)' })
  await client.insert({ table: 'inserts.settings', values: [{ format: 3, values: 4 }], format: 'JSONEachRow' })
  t.equal(await contentOf(client, 'settings'), '[1, 2]\n[3, 4]\n')
  const empty = await makeTable(client)
  t.equal((await send(`INSERT INTO ${empty} FORMAT JSONEachRow`, '')).status, 200, 'no rows are no failure')
})

t.test('rows are never run as statements', async (t) => {
  const victim = await makeTable(client)
  const attacks: [format: string, rows: string][] = [
    ['JSONEachRow', `{"id":1,"name":"a"}\n\nDROP TABLE inserts.${victim}`],
    ['JSONEachRow', `{"id":1,"name":"a"};\nDROP TABLE inserts.${victim}`],
    ['JSONEachRow', `\n\n;DROP TABLE inserts.${victim}\n`],
    ['CSV', `1,a\n\n\nDROP TABLE inserts.${victim}\n`],
    ['Values', `(1,'a');\n\nDROP TABLE inserts.${victim}`],
  ]
  for (const [format, body] of attacks) {
    const table = await makeTable(client)
    await (await send(`INSERT INTO ${table} FORMAT ${format}`, body)).text()
    await (await send('', `INSERT INTO ${table} FORMAT ${format}\n${body}`)).text()
    t.strictSame(await rowsOf(client, `EXISTS TABLE ${victim}`), [{ result: 1 }], body)
  }
})

t.test('a failing insert says why and names no file', async (t) => {
  const table = await makeTable(client)
  const cases: [query: string, body: string, code: string, type: string][] = [
    [`INSERT INTO ${table} FORMAT JSONEachRow`, '{"id":"x"}', '27', 'CANNOT_PARSE_INPUT_ASSERTION_FAILED'],
    ['INSERT INTO nowhere FORMAT JSONEachRow', '{"id":1}', '60', 'UNKNOWN_TABLE'],
    [`INSERT INTO ${table} (nocolumn) FORMAT JSONEachRow`, '{"id":1}', '16', 'NO_SUCH_COLUMN_IN_TABLE'],
    [`INSERT INTO ${table} FORMAT Nonsense`, '{"id":1}', '73', 'UNKNOWN_FORMAT'],
    [`INSERT INTO ${table} FROM INFILE '/etc/passwd' FORMAT CSV`, '', '62', 'SYNTAX_ERROR'],
    [`INSERT INTO ${table} SELECT 1, 'a'; DROP TABLE ${table}`, '', '62', 'SYNTAX_ERROR'],
    [`INSERT INTO ${table} SELECT throwIf(1), ''`, '', '395', 'FUNCTION_THROW_IF_VALUE_IS_NON_ZERO'],
  ]
  for (const [query, body, code, type] of cases) {
    const values = Readable.from([Buffer.from(body)], { objectMode: false })
    const failure = await client.exec({ query, values }).catch((error: unknown) => error)
    t.type(failure, ClickHouseError)
    t.match(failure, { code, type }, query)
    t.notMatch(String(failure), front.dataDir)
  }
  t.equal(await contentOf(client, table), '')
})

t.test('a compressed body is the body it was', async (t) => {
  const table = await makeTable(client)
  const query = `INSERT INTO ${table} FORMAT JSONEachRow`
  const encodings = { gzip: gzipSync, deflate: deflateSync, br: brotliCompressSync, zstd: zstdCompressSync }
  let id = 0
  for (const [encoding, compress] of Object.entries(encodings)) {
    id += 1
    const response = await send(query, compress(jsonRows(id, 1)), { 'Content-Encoding': encoding })
    t.equal(response.status, 200, `${encoding}: ${await response.text()}`)
  }
  const compressed = front.client({ database: 'inserts', compression: { request: true, response: true } })
  await compressed.insert({ table, values: [{ id: 5, name: 'xxxxxxxxxx' }], format: 'JSONEachRow' })
  t.equal((await contentOf(client, table)).split('\n').length - 1, 5)
  const garbage = await send(query, 'not gzip', { 'Content-Encoding': 'gzip' })
  t.match(await garbage.text(), /CANNOT_DECOMPRESS/)
  t.equal((await send(query, 'x', { 'Content-Encoding': 'nonsense' })).status, 501)
})

t.test('a body over the limit is refused, compressed or not, and leaves nothing behind', async (t) => {
  const table = await makeTable(client)
  const query = `INSERT INTO ${table} FORMAT JSONEachRow`
  const large = jsonRows(0, 90_000, 800)
  for (const [body, encoding] of [
    [large, {}],
    [gzipSync(large), { 'Content-Encoding': 'gzip' }],
  ] as const) {
    const response = await send(query, body, encoding)
    t.equal(response.status, 413)
    t.match(await response.text(), /^Code: 307\. .*67108864 bytes.*\(TOO_MANY_BYTES\)/)
  }
  t.equal(await contentOf(client, table), '')
  t.strictSame(spooled(), [])
})

function spooled(): string[] {
  return readdirSync(join(front.dataDir, 'front')).filter((name) => name.startsWith('insert-'))
}

t.test('an insert whose sender goes away in the middle stores nothing', async (t) => {
  const table = await makeTable(client)
  const search = new URLSearchParams({ database: 'inserts', query: `INSERT INTO ${table} FORMAT JSONEachRow` })
  const call = request(`${front.url}/?${search}`, { method: 'POST', headers: FRONT_HEADERS })
  call.on('error', () => {
    // The test breaks this connection itself.
  })
  call.write(jsonRows(0, 1000))
  await until('rows arrive', () => spooled().length === 1)
  call.destroy()
  await until('the front has given up', () => spooled().length === 0)
  t.equal(await contentOf(client, table), '')
})
