import { setTimeout as delay } from 'node:timers/promises'
import { ClickHouseError } from '@clickhouse/client'
import type { FastifyBaseLogger } from 'fastify'
import type { Redis } from 'ioredis'
import type { ClickHouse } from '../../infra/clickhouse.ts'
import type { Metrics } from '../../infra/metrics.ts'
import { type Batch, batchBody, batchRows, type Row, rowIdentity } from './batch.ts'
import { COLUMNS } from './row.ts'

/**
 * Answers of ClickHouse that blame the rows, so that sending them again cannot help: CANNOT_PARSE_TEXT, _QUOTED_STRING,
 * _INPUT_ASSERTION_FAILED, CANNOT_READ_ALL_DATA, CANNOT_PARSE_DATE, _DATETIME, TYPE_MISMATCH, ARGUMENT_OUT_OF_BOUND,
 * CANNOT_PARSE_NUMBER, INCORRECT_DATA, VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE, VIOLATED_CONSTRAINT.
 */
const ROW_FAULTS = new Set(['6', '26', '27', '33', '38', '41', '53', '69', '72', '117', '321', '469'])
const BACKOFF_MIN_MS = 250
const BACKOFF_MAX_MS = 30_000

interface DepositOptions {
  clickhouse: ClickHouse
  redis: Redis
  deadKey: string
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
export function createDeposit({ clickhouse, redis, deadKey, epoch, metrics, log, signal }: DepositOptions) {
  const dead = new Set<string>()

  return async function deposit(batch: Batch, doubtful: boolean): Promise<void> {
    let doubt = doubtful
    let attempt = 0
    for (let failures = 0; ; ) {
      signal.throwIfAborted()
      try {
        if (!doubt) return await insertAll(batch)
        metrics.sinkDoubts.inc()
        const absent = await absentRows(batch)
        if (absent.length === 0) return
        // The first try repeats the batch's own token: should the doubtful insert still land, one of the two is dropped. A token
        // that was accepted although rows are missing is poisoned, so later tries use fresh ones.
        const token = attempt === 0 && absent.length === batch.rows ? batch.id : `${batch.id}:${epoch}.${attempt}`
        await insertOrBisect(absent, token)
        attempt += 1
      } catch (error) {
        signal.throwIfAborted()
        doubt = true
        failures += 1
        log.warn({ err: error, batch: batch.id, failures }, 'a batch could not be stored yet')
        await delay(backoffMs(failures), undefined, { signal })
      }
    }
  }

  async function insertAll(batch: Batch): Promise<void> {
    try {
      await insert(batchBody(batch.entries), batch.id)
    } catch (error) {
      if (!isRowFault(error)) throw error
      await insertOrBisect([...batchRows(batch)], batch.id)
    }
  }

  /** Halves a refused batch until the rows at fault stand alone; only those leave, the rest is stored. */
  async function insertOrBisect(rows: Row[], token: string): Promise<void> {
    try {
      await insert(
        rows.map((row) => row.bytes),
        token,
      )
    } catch (error) {
      if (!isRowFault(error)) throw error
      const [row] = rows
      if (rows.length === 1 && row) return bury(row, error)
      const middle = rows.length >> 1
      await insertOrBisect(rows.slice(0, middle), `${token}.0`)
      await insertOrBisect(rows.slice(middle), `${token}.1`)
    }
  }

  function insert(body: Iterable<Buffer>, token: string): Promise<void> {
    return clickhouse.insertRows('events', COLUMNS, body, {
      async_insert: 0,
      insert_deduplicate: 1,
      insert_deduplication_token: token,
      max_insert_block_size: 1_000_000,
      max_partitions_per_insert_block: 0,
    })
  }

  /** Keeps a row that ClickHouse refuses, under its identity, so that burying it twice changes nothing. */
  async function bury(row: Row, error: ClickHouseError): Promise<void> {
    await redis.hset(deadKey, row.identity, JSON.stringify({ reason: `${error.type} (${error.code})`, row: row.event }))
    dead.add(row.identity)
    metrics.deadLetters.inc()
    log.error({ code: error.code, type: error.type }, 'ClickHouse refuses a row; it was set aside')
  }

  /** The rows of a batch that ClickHouse does not hold, by identity, copies that a merge has already joined included. */
  async function absentRows(batch: Batch): Promise<Row[]> {
    const rows = [...batchRows(batch)]
    const times = rows.map(({ event }) => event.received_at).sort((left, right) => left - right)
    const result = await clickhouse.client.query({
      query: `SELECT project_id, message_id FROM events
              WHERE received_at BETWEEN {first:DateTime64(3, 'UTC')} AND {last:DateTime64(3, 'UTC')}
                AND organization_id IN {organizations:Array(String)}`,
      query_params: {
        first: toClickHouseTime(times.at(0) ?? 0),
        last: toClickHouseTime(times.at(-1) ?? 0),
        organizations: [...new Set(rows.map(({ event }) => event.organization_id))],
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

/** `2026-01-31 23:59:59.999`, in UTC, which is the zone of the columns. */
const toClickHouseTime = (ms: number) => new Date(ms).toISOString().replace('T', ' ').slice(0, 23)

const isRowFault = (error: unknown): error is ClickHouseError =>
  error instanceof ClickHouseError && ROW_FAULTS.has(error.code)

const backoffMs = (failures: number) =>
  Math.min(BACKOFF_MIN_MS * 2 ** (failures - 1), BACKOFF_MAX_MS) * (0.75 + Math.random() / 2)
