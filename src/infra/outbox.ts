import { and, asc, inArray, isNull, lt, sql } from 'drizzle-orm'
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

/**
 * What a listener receives: at least once, in the order of creation within one organization. Facts of transactions that ran at
 * the same time have no order.
 */
export interface Fact {
  id: string
  organizationId: string
  kind: string
  payload: Record<string, unknown>
}

/** Whose facts those about people are: no organization is called like this, so no tenant transaction sees them. */
export const NO_ORGANIZATION = ''

/** Adds a fact to the transaction: it is published if and only if the transaction commits. */
export async function append(tx: TenantTx | SystemTx, fact: Omit<Fact, 'id'>): Promise<void> {
  // The clock and not the column's now(), which is the same for the whole transaction and would leave its facts without an order.
  await tx.insert(outbox).values({ ...fact, id: newId('fct'), createdAt: sql`clock_timestamp()` })
}

const RELAY_INTERVAL_MS = 500
const RELAY_BATCH_ROWS = 200
const KEEP_PUBLISHED_DAYS = 7
const PRUNE_INTERVAL_MS = 3_600_000

interface RelayDependencies {
  postgres: Postgres
  publish: (fact: Fact) => Promise<void>
  log: FastifyBaseLogger
}

/**
 * Moves facts from Postgres to their listeners. A fact is marked only after `publish` has resolved, so a crash between the two
 * publishes it again: listeners must tolerate repeats. Several relays may run, one publishes: two would overtake each other.
 */
export function createOutboxRelay({ postgres, publish, log }: RelayDependencies) {
  let timer: NodeJS.Timeout | undefined
  let running: Promise<unknown> = Promise.resolve()
  let prunedAtMs = 0

  const relayOnce = () =>
    postgres.withSystem(async (tx) => {
      const { rows } = await tx.execute(sql`select pg_try_advisory_xact_lock(hashtext('meterhouse outbox')) as mine`)
      if (!rows[0]?.mine) return 0
      const facts = await tx
        .select()
        .from(outbox)
        .where(isNull(outbox.publishedAt))
        .orderBy(asc(outbox.createdAt), asc(outbox.id))
        .limit(RELAY_BATCH_ROWS)
      if (facts.length === 0) return 0
      for (const { id, organizationId, kind, payload } of facts) await publish({ id, organizationId, kind, payload })
      const published = inArray(
        outbox.id,
        facts.map((fact) => fact.id),
      )
      // The second condition lets the index of what is pending find the rows.
      await tx
        .update(outbox)
        .set({ publishedAt: sql`now()` })
        .where(and(published, isNull(outbox.publishedAt)))
      return facts.length
    })

  /** Reads the whole table, so it runs by the hour and not by the tick. */
  const prune = async () => {
    if (Date.now() - prunedAtMs < PRUNE_INTERVAL_MS) return
    const expired = lt(outbox.publishedAt, sql`now() - make_interval(days => ${KEEP_PUBLISHED_DAYS})`)
    await postgres.withSystem((tx) => tx.delete(outbox).where(expired))
    prunedAtMs = Date.now()
  }

  const tick = async () => {
    try {
      while ((await relayOnce()) === RELAY_BATCH_ROWS);
      await prune()
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
