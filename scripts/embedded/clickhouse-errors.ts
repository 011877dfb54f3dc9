/** What ClickHouse answers when a statement fails: the client reads `code` and `type` out of the message. */
export type ClickHouseFault = { code: number; type: string; message: string }

export class StatementError extends Error {
  readonly fault: ClickHouseFault

  constructor(fault: ClickHouseFault, cause?: unknown) {
    super(fault.message, { cause })
    this.fault = fault
  }
}

/** The faults the front itself finds; the numbers are ClickHouse's own. */
export const FAULT_CODES = {
  NOT_IMPLEMENTED: 48,
  SYNTAX_ERROR: 62,
  TIMEOUT_EXCEEDED: 159,
  TOO_MANY_BYTES: 307,
  CANNOT_DECOMPRESS: 271,
  BAD_ARGUMENTS: 36,
  UNKNOWN_SETTING: 115,
  QUERY_WAS_CANCELLED: 394,
  AUTHENTICATION_FAILED: 516,
  STD_EXCEPTION: 1001,
} as const

export function statementError(type: keyof typeof FAULT_CODES, message: string): StatementError {
  return new StatementError({ code: FAULT_CODES[type], type, message })
}

/**
 * Reads the engine's own text (`Code: N. DB::Exception: … (NAME)`). The engine wraps an exception of its inner server in a
 * second one of the same code, and names the files the front put between client and engine; neither is for the client.
 */
export function engineError(cause: unknown, hidden: readonly string[] = []): StatementError {
  let text = cause instanceof Error ? cause.message : String(cause)
  for (const part of hidden) text = text.replaceAll(part, '')
  const code = Number(/^Code: (\d+)\./.exec(text)?.[1] ?? FAULT_CODES.STD_EXCEPTION)
  const type = /\(([A-Z][A-Z0-9_]+)\)\s*$/.exec(text)?.[1] ?? 'STD_EXCEPTION'
  const message = text
    .replace(/^(Code: \d+\. DB::Exception: )+/, '')
    .replace(/\s*\([A-Z][A-Z0-9_]+\)\s*$/, '')
    .replace(/\s*(\([A-Z][A-Z0-9_]+\) )?\(version [^)]*\)\.?\s*$/, '')
  return new StatementError({ code, type, message }, cause)
}

export function faultOf(error: unknown): ClickHouseFault {
  if (error instanceof StatementError) return error.fault
  const message = error instanceof Error ? error.message : String(error)
  return { code: FAULT_CODES.STD_EXCEPTION, type: 'STD_EXCEPTION', message }
}

export function faultText({ code, type, message }: ClickHouseFault, version: string): string {
  return `Code: ${code}. DB::Exception: ${message.replace(/[^.]$/, '$&.')} (${type}) (version ${version})\n`
}

/** The status ClickHouse's HTTP interface chooses for an exception; everything it does not list is a 500. */
export function faultStatus({ type }: ClickHouseFault): number {
  if (/^(CANNOT_PARSE_|ILLEGAL_(COLUMN|TYPE_OF_ARGUMENT)|UNKNOWN_ELEMENT_IN_AST|SYNTAX_ERROR)/.test(type)) return 400
  return STATUS_BY_TYPE.get(type) ?? 500
}

const STATUS_BY_TYPE = new Map([
  ['INCORRECT_DATA', 400],
  ['TYPE_MISMATCH', 400],
  ['DUPLICATE_COLUMN', 400],
  ['THERE_IS_NO_COLUMN', 400],
  ['VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE', 400],
  ['BAD_QUERY_PARAMETER', 400],
  ['UNKNOWN_QUERY_PARAMETER', 400],
  ['CANNOT_DECOMPRESS', 400],
  ['BAD_ARGUMENTS', 400],
  ['AUTHENTICATION_FAILED', 403],
  ['ACCESS_DENIED', 403],
  ['READONLY', 403],
  ['UNKNOWN_TABLE', 404],
  ['UNKNOWN_DATABASE', 404],
  ['UNKNOWN_FUNCTION', 404],
  ['UNKNOWN_AGGREGATE_FUNCTION', 404],
  ['UNKNOWN_IDENTIFIER', 404],
  ['UNKNOWN_TYPE', 404],
  ['UNKNOWN_STORAGE', 404],
  ['UNKNOWN_SETTING', 404],
  ['UNKNOWN_FORMAT', 404],
  ['UNKNOWN_DATABASE_ENGINE', 404],
  ['TIMEOUT_EXCEEDED', 408],
  ['TOO_MANY_BYTES', 413],
  ['QUERY_IS_TOO_LARGE', 413],
  ['NOT_IMPLEMENTED', 501],
])
