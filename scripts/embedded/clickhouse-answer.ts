import { rm, writeFile } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { join } from 'node:path'
import { collectBody, collectForm, isForm, spoolBody } from './clickhouse-body.ts'
import type { Scope } from './clickhouse-connection.ts'
import type { Engine } from './clickhouse-engine.ts'
import { statementError } from './clickhouse-errors.ts'
import { type ReplyOptions, replyWithOutcome, replyWithStream } from './clickhouse-reply.ts'
import { type RequestOptions, readOptions } from './clickhouse-request.ts'
import { type InsertStatement, readStatement, type Statement } from './clickhouse-sql.ts'

export interface StatementRequest {
  /** Unique in this process. */
  id: string
  query: URLSearchParams
  request: IncomingMessage
  response: ServerResponse
  signal: AbortSignal
}

const HELD_BYTES_MAX = 1024 * 1024
const HELD_WHOLE_BYTES_MAX = 64 * 1024 * 1024
const NO_BODY = Buffer.alloc(0)

/**
 * Runs one statement and answers it. As in ClickHouse, the statement is the `query` parameter, a line break and the body;
 * the rows of an INSERT go from the socket into a file and from there into the engine, never through this process's heap.
 */
export async function answerStatement(engine: Engine, exchange: StatementRequest): Promise<void> {
  const { id, query, request, signal } = exchange
  const form = isForm(request) ? await collectForm(request) : undefined
  const options = readOptions(request, [...query, ...(form ?? [])], id)
  const scope = { ...options.scope, id, signal }
  const inQuery = readStatement(options.query)
  if (!form && typeof inQuery === 'object' && inQuery.kind === 'insert') {
    const rowsInQuery = options.query.slice(inQuery.dataStart)
    const before = rowsInQuery.trim() === '' ? '' : `${rowsInQuery}\n`
    return answerInsert(engine, exchange, options, scope, inQuery, (file) => spoolBody(request, before, file))
  }
  const body = form ? NO_BODY : await collectBody(request)
  const bytes = Buffer.concat([
    Buffer.from(options.query && body.length > 0 ? `${options.query}\n` : options.query),
    body,
  ])
  const text = bytes.toString()
  const statement = readStatement(text)
  if (typeof statement === 'string') throw statementError('SYNTAX_ERROR', FAULT_TEXTS[statement])
  if (statement.kind === 'insert') {
    // Up to the rows the text is valid UTF-8, so this is their place among the bytes even when they are not.
    const rows = bytes.subarray(Buffer.byteLength(text.slice(0, statement.dataStart)))
    return answerInsert(engine, exchange, options, scope, statement, (file) => writeFile(file, rows, { mode: 0o600 }))
  }
  await answerOther(engine, exchange, options, scope, statement)
}

const FAULT_TEXTS = {
  empty: 'Syntax error: Empty query',
  'several statements': 'Syntax error (Multi-statements are not allowed): send one statement per request',
  'file clause': 'Syntax error: INTO OUTFILE and FROM INFILE belong to the command line client',
}

async function answerInsert(
  engine: Engine,
  { id, response }: StatementRequest,
  options: RequestOptions,
  scope: Scope,
  statement: InsertStatement,
  writeRows: (file: string) => Promise<void>,
): Promise<void> {
  const file = join(engine.scratch, `insert-${id}`)
  try {
    await writeRows(file)
    const outcome = await engine.insert(scope, statement, file)
    await replyWithOutcome(response, replyOptions(engine, options, statement.format), outcome, NO_BODY)
  } finally {
    await rm(file, { force: true })
  }
}

async function answerOther(
  engine: Engine,
  { response, signal }: StatementRequest,
  options: RequestOptions,
  scope: Scope,
  statement: Exclude<Statement, InsertStatement>,
): Promise<void> {
  if (statement.kind === 'insert-select') {
    const reply = replyOptions(engine, options, options.defaultFormat)
    return replyWithOutcome(response, reply, await engine.insertSelect(scope, statement.sql), NO_BODY)
  }
  const format = statement.format ?? options.defaultFormat
  const reply = replyOptions(engine, options, format)
  if (statement.kind === 'other') {
    const { outcome, body } = await engine.execute(scope, statement.sql, format)
    return replyWithOutcome(response, reply, outcome, body)
  }
  await engine.select(scope, statement, format, (output, finished) =>
    replyWithStream(response, reply, output, finished, signal),
  )
}

function replyOptions(engine: Engine, options: RequestOptions, format: string): ReplyOptions {
  return {
    queryId: options.queryId,
    format,
    version: engine.version,
    compress: options.compressResponse,
    holdBytesMax: options.holdWholeResult ? HELD_WHOLE_BYTES_MAX : HELD_BYTES_MAX,
  }
}
