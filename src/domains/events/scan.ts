import type { ByteString } from './row.ts'

/**
 * A recognizer of plain JSON: it accepts a part of what JSON.parse accepts and means the same by it, without building anything.
 * What is rare or doubtful it does not recognize, and the caller parses instead: exponents, integers of more than 15 digits, half characters
 * written as escapes, two members of one name, `__proto__`, deep nesting. Every function takes the position of a value's first
 * character and returns the position after the value, or -1.
 */
export const UNRECOGNIZED = -1

const QUOTE = 34
const BACKSLASH = 92
const COMMA = 44
const COLON = 58
const OPEN_BRACE = 123
const CLOSE_BRACE = 125
const OPEN_BRACKET = 91
const CLOSE_BRACKET = 93
const MINUS = 45
const DOT = 46
const ZERO = 48
const NINE = 57
const WHOLE_DIGITS_MAX = 15

/** The position of the next character that is no white space. */
export function skipSpace(text: ByteString, at: number): number {
  let position = at
  for (;;) {
    const code = text.charCodeAt(position)
    if (code !== 32 && code !== 10 && code !== 13 && code !== 9) return position
    position += 1
  }
}

/** Past any value that is nested at most `depth` levels deep. Names are kept apart by `names`, which the caller has reset. */
export function skipValue(text: ByteString, at: number, depth: number): number {
  const code = text.charCodeAt(at)
  if (code === QUOTE) return skipString(text, at)
  if (code === OPEN_BRACE) return skipObject(text, at, depth)
  if (code === OPEN_BRACKET) return skipArray(text, at, depth)
  if (code === MINUS || (code >= ZERO && code <= NINE)) return skipNumber(text, at)
  if (text.startsWith('true', at) || text.startsWith('null', at)) return at + 4
  return text.startsWith('false', at) ? at + 5 : UNRECOGNIZED
}

/** Past a string without control characters and half characters; escapes are allowed. */
export function skipString(text: ByteString, at: number): number {
  const { length } = text
  for (let position = at + 1; position < length; position++) {
    const code = text.charCodeAt(position)
    if (code === QUOTE) return position + 1
    if (code < 32) return UNRECOGNIZED
    if (code === BACKSLASH) {
      position = skipEscape(text, position)
      if (position === UNRECOGNIZED) return UNRECOGNIZED
    }
  }
  return UNRECOGNIZED
}

/** The last position of an escape. \ud800 to \udfff are halves of characters, which only a parser can judge. */
function skipEscape(text: ByteString, at: number): number {
  const escaped = text[at + 1]
  if (escaped === undefined) return UNRECOGNIZED
  if (escaped !== 'u') return '"\\/bfnrt'.includes(escaped) ? at + 1 : UNRECOGNIZED
  return /^(?!d[89a-f])[0-9a-f]{4}$/i.test(text.slice(at + 2, at + 6)) ? at + 5 : UNRECOGNIZED
}

/** Past a string without any escape, as identifiers are. */
export function skipPlainString(text: ByteString, at: number): number {
  if (text.charCodeAt(at) !== QUOTE) return UNRECOGNIZED
  const { length } = text
  for (let position = at + 1; position < length; position++) {
    const code = text.charCodeAt(position)
    if (code === QUOTE) return position + 1
    if (code < 32 || code === BACKSLASH) return UNRECOGNIZED
  }
  return UNRECOGNIZED
}

/** Past a number without exponent and with at most 15 digits before its point, which no type of a store overflows. */
export function skipNumber(text: ByteString, at: number): number {
  const start = text.charCodeAt(at) === MINUS ? at + 1 : at
  const whole = skipDigits(text, start)
  if (whole === start || (text.charCodeAt(start) === ZERO && whole > start + 1)) return UNRECOGNIZED
  let end = whole
  if (text.charCodeAt(whole) === DOT) {
    end = skipDigits(text, whole + 1)
    if (end === whole + 1) return UNRECOGNIZED
  }
  if (whole - start > WHOLE_DIGITS_MAX) return UNRECOGNIZED
  const next = text.charCodeAt(end) | 32
  return next === 101 ? UNRECOGNIZED : end
}

function skipDigits(text: ByteString, at: number): number {
  let position = at
  for (;;) {
    const code = text.charCodeAt(position)
    if (!(code >= ZERO && code <= NINE)) return position
    position += 1
  }
}

function skipArray(text: ByteString, at: number, depth: number): number {
  if (depth === 0) return UNRECOGNIZED
  let position = skipSpace(text, at + 1)
  if (text.charCodeAt(position) === CLOSE_BRACKET) return position + 1
  for (;;) {
    position = skipValue(text, position, depth - 1)
    if (position === UNRECOGNIZED) return UNRECOGNIZED
    position = skipSpace(text, position)
    const code = text.charCodeAt(position)
    if (code === CLOSE_BRACKET) return position + 1
    if (code !== COMMA) return UNRECOGNIZED
    position = skipSpace(text, position + 1)
  }
}

/** Past an object whose names are plain and differ. */
export function skipObject(text: ByteString, at: number, depth: number): number {
  if (depth === 0) return UNRECOGNIZED
  const object = names.open()
  let position = skipSpace(text, at + 1)
  if (text.charCodeAt(position) === CLOSE_BRACE) return position + 1
  for (;;) {
    const nameEnd = skipPlainString(text, position)
    if (nameEnd === UNRECOGNIZED || !names.add(object, text, position + 1, nameEnd - 1)) return UNRECOGNIZED
    position = skipSpace(text, nameEnd)
    if (text.charCodeAt(position) !== COLON) return UNRECOGNIZED
    position = skipValue(text, skipSpace(text, position + 1), depth - 1)
    if (position === UNRECOGNIZED) return UNRECOGNIZED
    position = skipSpace(text, position)
    const code = text.charCodeAt(position)
    if (code === CLOSE_BRACE) return position + 1
    if (code !== COMMA) return UNRECOGNIZED
    position = skipSpace(text, position + 1)
  }
}

/** The names of the objects of one event, to notice two of the same name: an open-addressed table that forgets by counting. */
function createNames() {
  const SLOTS = 4096
  const NAMES_MAX = 1024
  const events = new Uint32Array(SLOTS)
  const objects = new Uint32Array(SLOTS)
  const starts = new Uint32Array(SLOTS)
  const ends = new Uint32Array(SLOTS)
  let event = 0
  let opened = 0
  let held = 0

  return {
    /** Forgets all names. To be called before each event. */
    reset(): void {
      event = event === 0xffff_ffff ? 1 : event + 1
      if (event === 1) events.fill(0)
      opened = 0
      held = 0
    },

    open: (): number => ++opened,

    /** Remembers a name of an object; false when the object has it already, or there are too many to tell. */
    add(object: number, text: ByteString, start: number, end: number): boolean {
      if (++held > NAMES_MAX) return false
      let hash = object
      for (let position = start; position < end; position++)
        hash = (Math.imul(hash, 31) + text.charCodeAt(position)) | 0
      let slot = (hash ^ (hash >>> 15)) & (SLOTS - 1)
      while (events[slot] === event) {
        if (objects[slot] === object && sameText(text, starts[slot] as number, ends[slot] as number, start, end))
          return false
        slot = (slot + 1) & (SLOTS - 1)
      }
      events[slot] = event
      objects[slot] = object
      starts[slot] = start
      ends[slot] = end
      return !(end - start === 9 && text.startsWith('__proto__', start))
    },
  }
}

function sameText(text: ByteString, aStart: number, aEnd: number, bStart: number, bEnd: number): boolean {
  if (aEnd - aStart !== bEnd - bStart) return false
  for (let offset = 0; offset < aEnd - aStart; offset++) {
    if (text.charCodeAt(aStart + offset) !== text.charCodeAt(bStart + offset)) return false
  }
  return true
}

/** Shared by all scans of the process, of which only one runs at a time. */
export const names = createNames()
