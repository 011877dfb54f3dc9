import { setTimeout as delay } from 'node:timers/promises'
import { ClickHouseError } from '@clickhouse/client'
import type { FastifyBaseLogger } from 'fastify'
import type { ClickHouse } from '../../infra/clickhouse.ts'
import { failpoint } from '../../infra/failpoints.ts'
import type { Metrics } from '../../infra/metrics.ts'
import { type Batch, batchBody, batchRows, type Row, rowIdentity } from './batch.ts'
import type { Refused, SetAside } from './dead-letters.ts'
import { bodyOf, createMonths, groupsOf } from './months.ts'
import type { Pace } from './pace.ts'
import { blame } from './store-faults.ts'
import type { Store } from './stores.ts'

const BACKOFF_MIN_MS = 250
const BACKOFF_MAX_MS = 30_000
/** How often one batch may meet an error that blames neither its rows nor the store, before its rows are suspected. */
const UNEXPLAINED_MAX = 5

interface DepositOptions {
  clickhouse: ClickHouse
  store: Store
  /** Whether a batch is inserted in groups of months, for rows that lie all over the past. */
  byMonths: boolean
  pace: Pace
  setAside: SetAside
  epoch: number
  metrics: Metrics
  log: FastifyBaseLogger
  /** Aborts the waiting between tries, when the process stops or the lease is lost. */
  signal: AbortSignal
}

/**
 * Stores batches. When `deposit` resolves, every row of the batch is in ClickHouse or among the dead letters: either the engine
 * said so of an insert with a known outcome, or a probe found the rows. An insert with an unknown outcome (no answer, a crash)
 * is never believed and never blindly repeated. `doubtful` marks a batch that an earlier life may have sent.
 */
export function createDeposit(options: DepositOptions) {
  const { clickhouse, store, byMonths, pace, setAside, epoch, metrics, log, signal } = options
  const { table, columns } = store
  /** Of the batch at hand: rows that are among the dead letters, and errors that nobody explains. */
  let dead = new Set<string>()
  let unexplained = 0

  return async function deposit(batch: Batch, doubtful: boolean): Promise<void> {
    let doubt = doubtful
    let attempt = 0
    dead = new Set()
    unexplained = 0
    for (let failures = 0; ; ) {
      signal.throwIfAborted()
      try {
        if (!doubt) return await insertAll(batch)
        metrics.sinkDoubts.inc()
        failpoint('deposit.doubting')
        const absent = await absentRows(batch)
        log.info({ batch: batch.id, rows: batch.rows, absent: absent.length, attempt }, 'a doubtful batch was probed')
        if (absent.length === 0) return
        // The first try repeats the batch's own token: should the doubtful insert still land, one of the two is dropped. A token
        // that was accepted although rows are missing is poisoned, so later tries use fresh ones.
        const whole = attempt === 0 && absent.length === batch.rows
        await insertRows(absent, whole ? batch.id : `${batch.id}:${epoch}.${attempt}`)
        attempt += 1
      } catch (error) {
        signal.throwIfAborted()
        doubt = true
        failures += 1
        if (blame(error) === 'unknown') unexplained += 1
        log.warn({ err: error, batch: batch.id, failures }, 'a batch could not be stored yet')
        await delay(backoffMs(failures), undefined, { signal })
      }
    }
  }

  async function insertAll(batch: Batch): Promise<void> {
    try {
      if (!byMonths) return await insert(batchBody(batch.entries, columns), batch.id)
      const groups = await groupsOf(batch.entries)
      for (const [index, rows] of groups.entries()) await insert(bodyOf(rows), groupToken(batch.id, index))
    } catch (error) {
      if (!blamesRows(error)) throw error
      await insertRows(await batchRows(batch, columns), batch.id)
    }
  }

  /** Stores rows and sets aside the ones that are refused. */
  async function insertRows(rows: Row[], token: string): Promise<void> {
    const refused: Refused[] = []
    if (!byMonths) await insertOrBisect(rows, token, refused)
    else {
      for (const [index, group] of rowsByMonths(rows).entries()) {
        await insertOrBisect(group, groupToken(token, index), refused)
      }
    }
    await setAside(refused)
    for (const { row } of refused) dead.add(row.identity)
  }

  /** Halves a refused batch until the rows at fault stand alone; only those leave, the rest is stored. */
  async function insertOrBisect(rows: Row[], token: string, refused: Refused[]): Promise<void> {
    try {
      await insert(bodyOf(rows.map((row) => row.bytes)), token)
    } catch (error) {
      if (!blamesRows(error)) throw error
      const [row] = rows
      if (rows.length === 1 && row) {
        refused.push({ row, reason: `${error.type} (${error.code})` })
        return
      }
      const middle = rows.length >> 1
      await insertOrBisect(rows.slice(0, middle), `${token}.0`, refused)
      await insertOrBisect(rows.slice(middle), `${token}.1`, refused)
    }
  }

  function blamesRows(error: unknown): error is ClickHouseError {
    if (!(error instanceof ClickHouseError)) return false
    const blamed = blame(error)
    return blamed === 'rows' || (blamed === 'unknown' && unexplained >= UNEXPLAINED_MAX)
  }

  function insert(body: Iterable<Buffer>, token: string): Promise<void> {
    failpoint('deposit.sending')
    const settings = {
      async_insert: 0,
      insert_deduplicate: 1,
      insert_deduplication_token: token,
      max_insert_block_size: 1_000_000,
      max_partitions_per_insert_block: 0,
    }
    return pace(() => clickhouse.insertRows(table, columns.map(columnName), body, settings))
  }

  /** The rows of a batch that ClickHouse does not hold, by identity, copies that a merge has already joined included. */
  async function absentRows(batch: Batch): Promise<Row[]> {
    const rows = await batchRows(batch, columns)
    const times = rows.map(({ values }) => values.received_at).sort((left, right) => left - right)
    const result = await clickhouse.client.query({
      query: `SELECT project_id, message_id FROM ${table}
              WHERE received_at BETWEEN {first:DateTime64(3, 'UTC')} AND {last:DateTime64(3, 'UTC')}
                AND organization_id IN {organizations:Array(String)}`,
      query_params: {
        first: toClickHouseTime(times.at(0) ?? 0),
        last: toClickHouseTime(times.at(-1) ?? 0),
        organizations: [...new Set(rows.map(({ values }) => values.organization_id))],
      },
      format: 'JSONCompactEachRow',
    })
    const stored = new Set<string>()
    for await (const page of result.stream<[string, string]>()) {
      for (const row of page) stored.add(rowIdentity(...row.json()))
    }
    return rows.filter((row) => !stored.has(row.identity) && !dead.has(row.identity))
  }
}

/** As `groupsOf`, of rows that have been read. */
function rowsByMonths(rows: readonly Row[]): Row[][] {
  const rowOf = new Map(rows.map((row) => [row.bytes, row]))
  const months = createMonths()
  for (const { bytes } of rows) months.add(bytes)
  return months.groups().map((group) => group.map((bytes) => rowOf.get(bytes)).filter((row) => row !== undefined))
}

const columnName = ([name]: readonly [string, unknown]) => name

const groupToken = (token: string, index: number) => `${token}#${index}`

/** `2026-01-31 23:59:59.999`, in UTC, which is the zone of the columns. */
const toClickHouseTime = (ms: number) => new Date(ms).toISOString().replace('T', ' ').slice(0, 23)

const backoffMs = (failures: number) =>
  Math.min(BACKOFF_MIN_MS * 2 ** (failures - 1), BACKOFF_MAX_MS) * (0.75 + Math.random() / 2)
