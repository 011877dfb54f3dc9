import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { INSERT_SETTINGS } from './clickhouse-arguments.ts'
import { openConnections, quote, type Scope } from './clickhouse-connection.ts'
import { engineError } from './clickhouse-errors.ts'
import { openLane } from './clickhouse-lanes.ts'
import type { NativeResult } from './clickhouse-native.ts'
import { makeResultPipes, type ResultPipe } from './clickhouse-pipe.ts'
import type { InsertStatement, SelectStatement } from './clickhouse-sql.ts'

export interface Outcome {
  readRows: number
  readBytes: number
  writtenRows: number
  writtenBytes: number
  elapsedNs: number
}

/** Reads a result while it is being made. `finished` settles once all of it is written; its failure may come first. */
export type ResultReader = (output: Readable, finished: Promise<Outcome>) => Promise<void>

export type Engine = Awaited<ReturnType<typeof openEngine>>

const READS_MAX = 4
const INSERTS_MAX = 2

/**
 * Runs statements, a bounded number at a time. Rows go in through files and results come out through pipes. A SELECT ends
 * when its client goes away; what changes data goes on, as in ClickHouse, because half a change is worse than one unseen.
 */
export async function openEngine(dataDir: string) {
  const connections = await openConnections(dataDir)
  const scratch = join(dataDir, 'front')
  rmSync(scratch, { recursive: true, force: true })
  mkdirSync(scratch, { recursive: true })
  const reads = openLane(makeResultPipes(scratch, READS_MAX))
  const inserts = openLane(Array.from({ length: INSERTS_MAX }, (_, i) => i))

  /** A SELECT, as long as its result may be. Resolves when the reader and the engine are both done. */
  async function select(scope: Scope, statement: SelectStatement, format: string, read: ResultReader): Promise<void> {
    await reads.run(scope.signal, (pipe) => selectThrough(pipe, scope, statement, format, read))
  }

  async function selectThrough(
    pipe: ResultPipe,
    scope: Scope,
    statement: SelectStatement,
    format: string,
    read: ResultReader,
  ): Promise<void> {
    const clause = ` INTO OUTFILE ${quote(pipe.path)} APPEND COMPRESSION 'none' `
    const sql = statement.beforeOutput + clause + (statement.afterOutput || `FORMAT ${format}`)
    const { output, finish } = pipe.open()
    const closed = new Promise((resolve) => output.once('close', resolve))
    const finished = connections
      .runKillable(scope, (native, connection) => native.QueryAsyncConnection(connection, sql, format))
      .finally(finish)
      .then(outcomeOfRead, (cause) => Promise.reject(engineError(cause, [clause])))
    // The reader looks at the outcome after the end of the output, and a failure may come before that.
    finished.catch(() => undefined)
    try {
      await read(output, finished)
    } finally {
      output.destroy()
      // The pipe is free for the next statement only when the engine is done with it, however the reader fared.
      await Promise.allSettled([finished, closed])
    }
  }

  /**
   * An INSERT whose rows are in a file. Rows inside the statement's text would be simpler, but the engine's command line
   * ends them at an empty line and runs what follows as a statement.
   */
  async function insert(scope: Scope, statement: InsertStatement, file: string): Promise<Outcome> {
    const clause = `FROM INFILE ${quote(file)} COMPRESSION 'none' `
    const sql = `${statement.target}\n${clause}${statement.settings}\nFORMAT ${statement.format}`
    const result = await inserts
      .run(scope.signal, () =>
        connections.run(scope, INSERT_SETTINGS, (native, connection) =>
          native.QueryAsyncConnection(connection, sql, 'Null'),
        ),
      )
      .catch((cause) =>
        Promise.reject(
          engineError(cause, [clause, `(in file/uri ${file}): `, ': data for INSERT was parsed from file']),
        ),
      )
    const read = outcomeOfRead(result)
    return { ...read, writtenRows: read.readRows, writtenBytes: read.readBytes }
  }

  async function insertSelect(scope: Scope, sql: string): Promise<Outcome> {
    const { rowsWritten, bytesWritten, elapsed } = await reads
      .run(scope.signal, () =>
        connections.run(scope, [], (native, connection) =>
          native.InsertRawAsyncConnection(connection, sql, Buffer.alloc(0), false),
        ),
      )
      .catch((cause) => Promise.reject(engineError(cause)))
    const written = outcomeOfRead({ rowsRead: rowsWritten, bytesRead: bytesWritten, elapsed })
    return { ...written, writtenRows: rowsWritten, writtenBytes: bytesWritten }
  }

  /** Everything else answers little, so its answer is held whole. */
  async function execute(scope: Scope, sql: string, format: string): Promise<{ outcome: Outcome; body: Buffer }> {
    const result = await reads
      .run(scope.signal, () =>
        connections.run(scope, [], (native, connection) => native.QueryAsyncConnection(connection, sql, format)),
      )
      .catch((cause) => Promise.reject(engineError(cause)))
    return { outcome: outcomeOfRead(result), body: result.bytes }
  }

  /** Waits for the statements that run. Call when none can arrive any more. */
  async function close(): Promise<void> {
    await Promise.all([reads.idle(), inserts.idle()])
    await connections.close()
    rmSync(scratch, { recursive: true, force: true })
  }

  return { version: connections.version, scratch, select, insert, insertSelect, execute, close }
}

function outcomeOfRead({ rowsRead, bytesRead, elapsed }: Omit<NativeResult, 'bytes'>): Outcome {
  return {
    readRows: rowsRead,
    readBytes: bytesRead,
    writtenRows: 0,
    writtenBytes: 0,
    elapsedNs: Math.round(elapsed * 1e9),
  }
}
