import { sql } from 'drizzle-orm'
import type { FastifyInstance } from 'fastify'
import { eventually } from './app.ts'

const WAITING_MIN = 8

/** Holds every write to some tables back until several calls have read what there is, and then lets all of them go on. */
export async function allAtOnce<T>(app: FastifyInstance, tables: string[], start: () => Promise<T>[]): Promise<T[]> {
  const calls = await app.postgres.withSystem(async (tx) => {
    await tx.execute(sql`lock table ${sql.raw(tables.join(', '))} in exclusive mode`)
    const started = start()
    await eventually('calls that wait', async () => {
      const { rows } = await tx.execute<{ waiting: number }>(
        sql`select count(distinct pid)::int as waiting from pg_locks where not granted`,
      )
      return (rows[0]?.waiting ?? 0) >= WAITING_MIN
    })
    return { started }
  })
  return Promise.all(calls.started)
}
