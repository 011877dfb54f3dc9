import { setTimeout as delay } from 'node:timers/promises'
import { CONNECTION_ARGUMENTS, CONNECTION_SETTINGS, engineArguments } from './clickhouse-arguments.ts'
import { loadNativeEngine, type NativeConnection, type NativeEngine } from './clickhouse-native.ts'

/** What a statement runs with. All of it ends with the statement. */
export interface Scope {
  /** Unique in this process; KILL finds the statement by it. */
  id: string
  database: string | undefined
  settings: ReadonlyMap<string, string>
  params: ReadonlyMap<string, string>
  /** Aborts when nobody waits for the statement any more. */
  signal: AbortSignal
}

export type Work<Result> = (native: NativeEngine, connection: NativeConnection) => Promise<Result>

const KILL_RETRY_MS = 200

/**
 * Opens the engine. Every statement gets a connection of its own, used once: settings, parameters, the current database
 * and a de-duplication token cannot outlive the statement they came with, whether it succeeded or failed.
 */
export async function openConnections(dataDir: string) {
  const native = loadNativeEngine()
  const base = native.CreateConnection(dataDir, engineArguments())
  const version = (await native.QueryAsyncConnection(base, 'SELECT version()', 'TSV')).bytes.toString().trim()
  let killing: Promise<unknown> = Promise.resolve()

  async function run<Result>(scope: Scope, settings: [string, string][], work: Work<Result>): Promise<Result> {
    const connection = native.CreateConnection(dataDir, CONNECTION_ARGUMENTS)
    try {
      await native.QueryAsyncConnection(connection, preamble(scope, settings), 'Null')
      return await work(native, connection)
    } finally {
      native.CloseConnection(connection)
    }
  }

  /** As `run`, for statements that only read: they are killed when nobody waits for them. */
  async function runKillable<Result>(scope: Scope, work: Work<Result>): Promise<Result> {
    let isOver = false
    const onAbort = () => void killUntil(scope.id, () => isOver)
    scope.signal.addEventListener('abort', onAbort, { once: true })
    try {
      scope.signal.throwIfAborted()
      return await run(scope, [], work)
    } finally {
      isOver = true
      scope.signal.removeEventListener('abort', onAbort)
    }
  }

  /** A KILL sent before the engine knows the statement hits nothing, so it is repeated until the statement is over. */
  async function killUntil(id: string, isOver: () => boolean) {
    const sql = `KILL QUERY WHERE Settings['log_comment'] = ${quote(id)} ASYNC FORMAT Null`
    while (!isOver()) {
      // A KILL that fails is repeated as well; if the statement ended by itself there is nothing left to kill.
      killing = killing.then(() => native.QueryAsyncConnection(base, sql, 'Null')).catch(() => undefined)
      await killing
      await delay(KILL_RETRY_MS)
    }
  }

  /** Call when nothing runs and nothing can start any more. */
  async function close(): Promise<void> {
    await killing
    native.CloseConnection(base)
  }

  return { version, run, runKillable, close }
}

function preamble({ id, database, settings, params }: Scope, kindSettings: [string, string][]): string {
  const merged = new Map([...CONNECTION_SETTINGS, ...kindSettings, ...settings, ['log_comment', id] as const])
  const assignments = [
    ...Array.from(params, ([name, value]) => `param_${name} = ${quote(value)}`),
    ...Array.from(merged, ([name, value]) => `${name} = ${quote(value)}`),
  ]
  const use = database ? `USE \`${database.replace(/[\\`]/g, '\\$&')}\`; ` : ''
  return `${use}SET ${assignments.join(', ')}`
}

/** A string literal; the engine takes every setting and parameter as one. */
export function quote(value: string): string {
  return `'${value.replace(/[\\']/g, '\\$&')}'`
}
