import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

/**
 * The engine's addon, reached directly: the package's public `Session` closes a connection only after every statement of
 * the process has ended, so a connection per request would pile up behind one long query.
 *
 * The engine is one per process and holds one data directory. Connections to it cost about 0.3 ms and share nothing but
 * the data: settings, parameters and the current database belong to the connection. A connection runs one statement at a
 * time; closing it while a statement runs aborts the engine for the whole process.
 */
export type NativeEngine = {
  CreateConnection(dataDir: string, args: string[]): NativeConnection
  CloseConnection(connection: NativeConnection): void
  QueryAsyncConnection(connection: NativeConnection, sql: string, format: string): Promise<NativeResult>
  /** The only call that reports written rows; it runs `sql`, a newline and `data` as one text. */
  InsertRawAsyncConnection(
    connection: NativeConnection,
    sql: string,
    data: Buffer,
    countLines: boolean,
  ): Promise<NativeWritten>
}

export type NativeConnection = { readonly opaque: unique symbol }
export type NativeResult = { bytes: Buffer; elapsed: number; rowsRead: number; bytesRead: number }
export type NativeWritten = { elapsed: number; rowsWritten: number; bytesWritten: number }

export function loadNativeEngine(): NativeEngine {
  const require = createRequire(import.meta.url)
  const loader = join(dirname(require.resolve('chdb/package.json')), 'dist', 'loader.js')
  return require(loader).loadNative() as NativeEngine
}
