export interface Token {
  /** Upper-cased keyword or unquoted name; empty for quoted text, numbers and punctuation. */
  word: string
  text: string
  start: number
  end: number
  /** How many parentheses are open around it. */
  depth: number
  /** It comes after a semicolon, so it belongs to a further statement. */
  isAfterEnd: boolean
}

/** ClickHouse's tokens without blanks, comments and the semicolons that end a statement. Reads no further than asked. */
export function* tokensOf(sql: string): Generator<Token, undefined> {
  const pattern = new RegExp(PATTERN, 'y')
  let depth = 0
  let isAfterEnd = false
  for (let start = 0; start < sql.length; start = pattern.lastIndex) {
    pattern.lastIndex = start
    const text = pattern.exec(sql)?.[0] ?? ''
    if (/^(\s|--|#[ !]|\/\*)/.test(text)) continue
    if (text === ';' && depth === 0) {
      isAfterEnd = true
      continue
    }
    if (text === ')') depth -= 1
    const word = /^[A-Za-z_]\w*$/.test(text) ? text.toUpperCase() : ''
    yield { word, text, start, end: pattern.lastIndex, depth, isAfterEnd }
    if (text === '(') depth += 1
  }
  return undefined
}

/**
 * Quoted text is matched in runs and, when its end is missing, to the end of all: tried character by character, a megabyte
 * of it would take minutes.
 */
const PATTERN = [
  /\s+/,
  /--[^\n]*/,
  /#[ !][^\n]*/,
  /\/\*[\s\S]*?(?:\*\/|$)/,
  /'[^'\\]*(?:(?:\\[\s\S]|'')[^'\\]*)*(?:'|\\?$)/,
  /"[^"\\]*(?:(?:\\[\s\S]|"")[^"\\]*)*(?:"|\\?$)/,
  /`[^`\\]*(?:(?:\\[\s\S]|``)[^`\\]*)*(?:`|\\?$)/,
  /\$(\w*)\$[\s\S]*?(?:\$\1\$|$)/,
  /[\w\u0080-\uffff]+/,
  /[\s\S]/,
]
  .map(({ source }) => source)
  .join('|')
