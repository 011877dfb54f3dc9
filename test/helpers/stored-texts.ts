import type { Redis } from 'ioredis'
import pg from 'pg'

const TABLES = `select format('%I.%I', table_schema, table_name) as name from information_schema.tables
  where table_schema in ('public', 'drizzle') and table_type = 'BASE TABLE'`

/** Every row of every table as text, by the table. */
export async function textsOfPostgres(adminUrl: string): Promise<Map<string, string>> {
  const admin = new pg.Client({ connectionString: adminUrl })
  await admin.connect()
  const texts = new Map<string, string>()
  const { rows: tables } = await admin.query<{ name: string }>(TABLES)
  for (const { name } of tables) {
    const { rows } = await admin.query<{ text: string }>(`select row_to_json(row)::text as text from ${name} row`)
    texts.set(name, rows.map(({ text }) => text).join('\n'))
  }
  await admin.end()
  return texts
}

/** Every key of a Redis with all that it holds, by the key. */
export async function textsOfRedis(redis: Redis): Promise<Map<string, string>> {
  const readers: Record<string, (key: string) => Promise<unknown>> = {
    string: (key) => redis.get(key),
    hash: (key) => redis.hgetall(key),
    list: (key) => redis.lrange(key, 0, -1),
    set: (key) => redis.smembers(key),
    zset: (key) => redis.zrange(key, '0', '-1'),
    stream: (key) => redis.xrange(key, '-', '+'),
  }
  const texts = new Map<string, string>()
  for (const key of await redis.keys('*')) {
    const type = await redis.type(key)
    // A key may go while all of them are read.
    if (type === 'none') continue
    const read = readers[type]
    if (!read) throw new Error(`${key} is a ${type}, which nobody reads here`)
    texts.set(key, `${key} ${JSON.stringify(await read(key))}`)
  }
  return texts
}
