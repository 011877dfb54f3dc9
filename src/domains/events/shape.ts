import { bodyTooComplex } from './errors.ts'

/** Several times what 2,000 events of 50 properties need. */
const MEMBERS_MAX = 250_000
/** Far beyond what an event may have, so that the event is what is named as too deep and not the body. */
const DEPTH_MAX = 20_000

const QUOTE = 34
const BACKSLASH = 92

/**
 * Refuses JSON that would take the parser much time or memory for its size: too many members, or nested too deep. It runs over the text
 * once, before anything is built, and does not care whether the text is JSON.
 */
export function refuseUnreasonable(text: string): void {
  let members = 0
  let depth = 0
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === QUOTE) at = endOfString(text, at)
    else if (code === 91 || code === 123) depth += 1
    else if (code === 93 || code === 125) depth -= 1
    else if (code === 58 || code === 44) members += 1
    if (members > MEMBERS_MAX) throw bodyTooComplex(`A body may hold ${MEMBERS_MAX} members of objects and arrays.`)
    if (depth > DEPTH_MAX) throw bodyTooComplex(`A body may be nested ${DEPTH_MAX} levels deep.`)
  }
}

/** The position of the closing quote, or of the text's end. */
function endOfString(text: string, at: number): number {
  for (let end = at + 1; end < text.length; end++) {
    const code = text.charCodeAt(end)
    if (code === QUOTE) return end
    if (code === BACKSLASH) end += 1
  }
  return text.length
}
