/** A set of code points as sorted pairs of first and last, which do not touch. */
export type Ranges = [first: number, last: number][]

export type PatternNode =
  | { kind: 'one'; of: Ranges }
  | { kind: 'sequence'; parts: PatternNode[] }
  | { kind: 'choice'; options: PatternNode[] }
  | { kind: 'repeat'; node: PatternNode; min: number; max: number }
  | { kind: 'start' }
  | { kind: 'end' }

/** Says why a pattern cannot be used; the message continues the sentence "the pattern …". */
export class PatternError extends Error {
  override name = 'PatternError'
}

const LAST = 0x10ffff
const DIGITS: Ranges = [[48, 57]]
const WORD: Ranges = [DIGITS[0], [65, 90], [95, 95], [97, 122]] as Ranges
const SPACE: Ranges = [
  [9, 13],
  [32, 32],
  [160, 160],
  [0x1680, 0x1680],
  [0x2000, 0x200a],
  [0x2028, 0x2029],
  [0x202f, 0x202f],
  [0x205f, 0x205f],
  [0x3000, 0x3000],
  [0xfeff, 0xfeff],
]
const LINE_ENDS: Ranges = [
  [10, 10],
  [13, 13],
  [0x2028, 0x2029],
]
const CLASSES: Record<string, Ranges> = {
  d: DIGITS,
  D: without(DIGITS),
  w: WORD,
  W: without(WORD),
  s: SPACE,
  S: without(SPACE),
}
const CONTROLS: Record<string, number> = { t: 9, n: 10, v: 11, f: 12, r: 13, '0': 0 }
const REPEATS_MAX = 1000
const DEPTH_MAX = 50

/**
 * Parses the regular part of JavaScript's syntax, as with the flag `u`: everything that a machine of states can decide while it reads a
 * text once. What needs to go back in the text (back references, looking around) and what depends on Unicode tables is refused.
 */
export function parsePattern(source: string): PatternNode {
  const characters = [...source]
  let at = 0
  let depth = 0

  function take(text: string): boolean {
    if (characters.slice(at, at + text.length).join('') !== text) return false
    at += text.length
    return true
  }
  const next = (): string => {
    const character = characters[at++]
    if (character === undefined) throw new PatternError('ends in the middle of an expression')
    return character
  }

  function choice(): PatternNode {
    if (++depth > DEPTH_MAX) throw new PatternError(`has more than ${DEPTH_MAX} groups inside each other`)
    const options = [sequence()]
    while (take('|')) options.push(sequence())
    depth--
    return options.length === 1 && options[0] ? options[0] : { kind: 'choice', options }
  }

  function sequence(): PatternNode {
    const parts: PatternNode[] = []
    while (at < characters.length && characters[at] !== '|' && characters[at] !== ')') parts.push(repeated(atom()))
    return { kind: 'sequence', parts }
  }

  function atom(): PatternNode {
    const character = next()
    if (character === '(') return group()
    if (character === '[') return { kind: 'one', of: set() }
    if (character === '.') return { kind: 'one', of: without(LINE_ENDS) }
    if (character === '^') return { kind: 'start' }
    if (character === '$') return { kind: 'end' }
    if (character === '\\') return { kind: 'one', of: escaped(false) }
    if ('*+?{}]'.includes(character)) throw new PatternError(`has a ${character} that belongs to nothing`)
    return { kind: 'one', of: single(character) }
  }

  function group(): PatternNode {
    if (take('?')) {
      if (!take(':')) skipName()
    }
    const inside = choice()
    if (!take(')')) throw new PatternError('has a group that is not closed')
    return inside
  }

  function skipName(): void {
    if (!take('<') || '=!'.includes(characters[at] ?? '!'))
      throw new PatternError('uses a group other than (…), (?:…) and (?<name>…): looking around is not supported')
    while (next() !== '>');
  }

  function repeated(node: PatternNode): PatternNode {
    const bounds = repetition()
    if (!bounds) return node
    if (node.kind === 'start' || node.kind === 'end') throw new PatternError('repeats ^ or $')
    // Greedy or not, what matches is the same.
    take('?')
    return { kind: 'repeat', node, ...bounds }
  }

  function repetition(): { min: number; max: number } | undefined {
    if (take('*')) return { min: 0, max: Number.POSITIVE_INFINITY }
    if (take('+')) return { min: 1, max: Number.POSITIVE_INFINITY }
    if (take('?')) return { min: 0, max: 1 }
    if (!take('{')) return undefined
    let text = ''
    for (let character = next(); character !== '}'; character = next()) text += character
    const [, low = '', comma, high] = /^(\d{1,9})(,?)(\d{1,9})?$/.exec(text) ?? []
    const min = Number(low)
    const max = high ? Number(high) : comma ? Number.POSITIVE_INFINITY : min
    if (low === '' || min > max || (high && !comma))
      throw new PatternError(`has a repetition {${text}} that makes no sense`)
    if (min > REPEATS_MAX || (max > REPEATS_MAX && max !== Number.POSITIVE_INFINITY))
      throw new PatternError(`repeats more than ${REPEATS_MAX} times`)
    return { min, max }
  }

  function set(): Ranges {
    const negated = take('^')
    const ranges: Ranges = []
    while (!take(']')) {
      const low = member()
      if (characters[at] !== '-' || characters[at + 1] === ']') {
        ranges.push(...low)
        continue
      }
      at++
      const high = member()
      const [first, last] = [onlyOf(low), onlyOf(high)]
      if (first === undefined || last === undefined || first > last)
        throw new PatternError('has a range in […] that is not one')
      ranges.push([first, last])
    }
    return negated ? without(merged(ranges)) : merged(ranges)
  }

  function member(): Ranges {
    const character = next()
    return character === '\\' ? escaped(true) : single(character)
  }

  function escaped(inSet: boolean): Ranges {
    const character = next()
    const known = CLASSES[character]
    if (known) return known
    if (character in CONTROLS && !/\d/.test(characters[at] ?? '')) return point(CONTROLS[character] ?? 0)
    if (character === 'x') return point(hex(2))
    if (character === 'u') return point(take('{') ? hexUntilBrace() : unit())
    if ('^$\\.*+?()[]{}|/'.includes(character) || (inSet && character === '-')) return single(character)
    throw new PatternError(`uses \\${character}, which is not supported`)
  }

  function hex(digits: number): number {
    const text = Array.from({ length: digits }, next).join('')
    if (!/^[0-9a-f]+$/i.test(text)) throw new PatternError(`has a code ${text} that is not hexadecimal`)
    return Number.parseInt(text, 16)
  }

  /** \uD83D\uDE00 is one character. */
  function unit(): number {
    const code = hex(4)
    if (code < 0xd800 || code > 0xdbff || characters[at] !== '\\' || characters[at + 1] !== 'u') return code
    const before = at
    at += 2
    const low = characters[at] === '{' ? 0 : hex(4)
    if (low >= 0xdc00 && low <= 0xdfff) return (code - 0xd800) * 0x400 + (low - 0xdc00) + 0x10000
    at = before
    return code
  }

  function hexUntilBrace(): number {
    let text = ''
    for (let character = next(); character !== '}'; character = next()) text += character
    const code = /^[0-9a-f]{1,8}$/i.test(text) ? Number.parseInt(text, 16) : LAST + 1
    if (code > LAST) throw new PatternError(`has a code ${text} that no character has`)
    return code
  }

  const node = choice()
  if (at < characters.length) throw new PatternError('has a ) that belongs to nothing')
  return node
}

const point = (code: number): Ranges => [[code, code]]
const single = (character: string): Ranges => point(character.codePointAt(0) ?? 0)
const onlyOf = ([range, ...more]: Ranges) =>
  range && more.length === 0 && range[0] === range[1] ? range[0] : undefined

function merged(ranges: Ranges): Ranges {
  const result: Ranges = []
  for (const [first, last] of [...ranges].sort((a, b) => a[0] - b[0])) {
    const before = result.at(-1)
    if (before && first <= before[1] + 1) before[1] = Math.max(before[1], last)
    else result.push([first, last])
  }
  return result
}

function without(ranges: Ranges): Ranges {
  const result: Ranges = []
  let first = 0
  for (const [low, high] of ranges) {
    if (low > first) result.push([first, low - 1])
    first = high + 1
  }
  if (first <= LAST) result.push([first, LAST])
  return result
}
