import { type Token, tokensOf } from './clickhouse-tokens.ts'

export type Statement = SelectStatement | InsertStatement | InsertSelectStatement | OtherStatement

/** INTO OUTFILE goes between the two parts; `afterOutput` is the FORMAT clause and what follows it, or empty. */
export interface SelectStatement {
  kind: 'select'
  beforeOutput: string
  afterOutput: string
  format: string | undefined
}

/** FROM INFILE goes between `target` and `settings`; the rows begin at `dataStart` of the text. */
export interface InsertStatement {
  kind: 'insert'
  target: string
  settings: string
  format: string
  dataStart: number
}

export interface InsertSelectStatement {
  kind: 'insert-select'
  sql: string
}

export interface OtherStatement {
  kind: 'other'
  sql: string
  format: string | undefined
}

export type StatementFault = 'empty' | 'several statements' | 'file clause'

/**
 * Finds where a statement's output and input clauses go, with just enough of ClickHouse's grammar for that. It never
 * decides whether a statement is valid: what it does not recognize goes to the engine as it came, and the engine answers.
 */
export function readStatement(sql: string): Statement | StatementFault {
  const first = tokensOf(sql).next().value
  if (!first) return 'empty'
  return first.word === 'INSERT' ? readInsert(sql) : readQuery(sql)
}

const SELECT_STARTS = new Set(['SELECT', 'WITH', 'FROM', '('])

function readQuery(sql: string): Statement | StatementFault {
  const tokens = [...tokensOf(sql)]
  const last = tokens.at(-1)
  const top = tokens.filter(({ depth }) => depth === 0)
  if (last?.isAfterEnd) return 'several statements'
  if (top.some((token, i) => token.word === 'INTO' && top[i + 1]?.word === 'OUTFILE')) return 'file clause'
  const clause = top.findLastIndex((_, i) => isFormatClause(top, i))
  const format = top[clause + 1]?.text
  const isSelect = SELECT_STARTS.has(tokens[0]?.text.toUpperCase() ?? '') && !top.some(({ word }) => word === 'INSERT')
  if (!isSelect) return { kind: 'other', sql: sql.slice(0, last?.end), format: clause < 0 ? undefined : format }
  const split = (clause < 0 ? last?.end : top[clause]?.start) ?? 0
  return {
    kind: 'select',
    beforeOutput: sql.slice(0, split),
    afterOutput: sql.slice(split, last?.end),
    format: clause < 0 ? undefined : format,
  }
}

/** FORMAT is no reserved word, so it counts only where the clause can stand: at the end, or right before SETTINGS. */
function isFormatClause(top: Token[], i: number): boolean {
  const [keyword, name, next] = top.slice(i, i + 3)
  return i > 0 && keyword?.word === 'FORMAT' && Boolean(name?.word) && (!next || next.word === 'SETTINGS')
}

function readInsert(sql: string): Statement | StatementFault {
  let settingsStart: number | undefined
  let previous: Token | undefined
  for (const token of tokensOf(sql)) {
    if (token.isAfterEnd) return 'several statements'
    const clause = token.depth > 0 || isTarget(previous) ? '' : token.word
    if (clause === 'INFILE') return 'file clause'
    if (clause === 'SETTINGS') settingsStart ??= token.start
    if (clause === 'SELECT' || clause === 'WITH') return readInsertSelect(sql)
    const clauses = { settingsStart, formatStart: token.start }
    if (clause === 'VALUES') return insertOf(sql, clauses, 'Values', token.end)
    if (clause && previous?.word === 'FORMAT') {
      return insertOf(sql, { ...clauses, formatStart: previous.start }, token.text, dataStartAfter(sql, token.end))
    }
    previous = clause || TARGET_PREFIXES.has(token.word) ? token : { ...token, word: '' }
  }
  return { kind: 'insert-select', sql }
}

const TARGET_PREFIXES = new Set(['INTO', 'TABLE', 'FUNCTION'])

/** A table may be called `settings` or `format`: what follows INTO, TABLE, FUNCTION or a dot is a name, never a clause. */
function isTarget(previous: Token | undefined): boolean {
  return !previous || previous.text === '.' || TARGET_PREFIXES.has(previous.word)
}

function readInsertSelect(sql: string): Statement | StatementFault {
  const last = [...tokensOf(sql)].at(-1)
  return last?.isAfterEnd ? 'several statements' : { kind: 'insert-select', sql }
}

function insertOf(
  sql: string,
  { settingsStart, formatStart }: { settingsStart: number | undefined; formatStart: number },
  format: string,
  dataStart: number,
): InsertStatement {
  const targetEnd = settingsStart ?? formatStart
  return {
    kind: 'insert',
    target: sql.slice(0, targetEnd),
    settings: sql.slice(targetEnd, formatStart),
    format,
    dataStart,
  }
}

/** Rows begin after the line break that follows the format's name, or after the blanks when they are on the same line. */
function dataStartAfter(sql: string, end: number): number {
  const pattern = /[ \t\f]*(\r?\n)?/y
  pattern.lastIndex = end
  pattern.exec(sql)
  return pattern.lastIndex
}
