import { asc, inArray, isNull, lt, sql } from 'drizzle-orm'
import { index, jsonb, pgTable, primaryKey, text, timestamp } from 'drizzle-orm/pg-core'
import type { FastifyBaseLogger } from 'fastify'
import { newId } from '../ids.ts'
import type { Postgres, SystemTx, TenantTx } from './postgres.ts'
import { tenantPolicies } from './tenancy.ts'

/** Facts that happened in Postgres and that others must hear of. Written in the transaction that made them true. */
export const outbox = pgTable(
  'outbox',
  {
    organizationId: text('organization_id').notNull(),
    id: text().notNull(),
    kind: text().notNull(),
    payload: jsonb().$type<Record<string, unknown>>().notNull(),
    createdAt: timestamp('created_at', { withTimezone: true }).notNull().defaultNow(),
    publishedAt: timestamp('published_at', { withTimezone: true }),
  },
  (table) => [
    primaryKey({ columns: [table.organizationId, table.id] }),
    index('outbox_pending').on(table.createdAt).where(sql`${table.publishedAt} is null`),
    ...tenantPolicies(table.organizationId),
  ],
)

/** What a listener receives: at least once, in the order of creation within one organization. */
export interface Fact {
  id: string
  organizationId: string
  kind: string
  payload: Record<string, unknown>
}

/** Adds a fact to the transaction: it is published if and only if the transaction commits. */
export async function append(tx: TenantTx | SystemTx, fact: Omit<Fact, 'id'>): Promise<void> {
  await tx.insert(outbox).values({ ...fact, id: newId('fct') })
}

const RELAY_INTERVAL_MS = 500
const RELAY_BATCH_ROWS = 200
const KEEP_PUBLISHED_DAYS = 7

interface RelayDependencies {
  postgres: Postgres
  publish: (fact: Fact) => Promise<void>
  log: FastifyBaseLogger
}

/**
 * Moves facts from Postgres to their listeners. A fact is marked only after `publish` has resolved, so a crash between the two
 * publishes it again: listeners must tolerate repeats. Several relays may run; locked rows are skipped.
 */
export function createOutboxRelay({ postgres, publish, log }: RelayDependencies) {
  let timer: NodeJS.Timeout | undefined
  let running: Promise<unknown> = Promise.resolve()

  const relayOnce = () =>
    postgres.withSystem(async (tx) => {
      const facts = await tx
        .select()
        .from(outbox)
        .where(isNull(outbox.publishedAt))
        .orderBy(asc(outbox.createdAt), asc(outbox.id))
        .limit(RELAY_BATCH_ROWS)
        .for('update', { skipLocked: true })
      for (const { id, organizationId, kind, payload } of facts) await publish({ id, organizationId, kind, payload })
      const ids = facts.map((fact) => fact.id)
      if (ids.length > 0) await tx.update(outbox).set({ publishedAt: sql`now()` }).where(inArray(outbox.id, ids))
      await tx.delete(outbox).where(lt(outbox.publishedAt, sql`now() - make_interval(days => ${KEEP_PUBLISHED_DAYS})`))
      return facts.length
    })

  const tick = async () => {
    try {
      while ((await relayOnce()) === RELAY_BATCH_ROWS);
    } catch (error) {
      log.error({ err: error }, 'the outbox relay failed and will try again')
    }
    if (timer) schedule()
  }
  const schedule = () => {
    timer = setTimeout(() => {
      running = tick()
    }, RELAY_INTERVAL_MS)
  }

  return {
    start: schedule,
    async stop() {
      clearTimeout(timer)
      timer = undefined
      await running
    },
  }
}
