import { hash } from 'node:crypto'

/** The place of an event in the explorer's order: newest first, ties by message id and then by name, both descending. */
export interface Position {
  timestampMs: number
  messageId: string
  event: string
}

/** An opaque cursor that points after the position. It is good for the search that it came from, and only whole. */
export function encodeCursor({ timestampMs, messageId, event }: Position, search: string): string {
  const place = [timestampMs, messageId, event]
  return Buffer.from(JSON.stringify([digest(place, search), ...place])).toString('base64url')
}

/** undefined for anything that `encodeCursor` did not make for the same search. */
export function decodeCursor(cursor: string, search: string): Position | undefined {
  try {
    const [sum, ...place] = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'))
    const [timestampMs, messageId, event] = place
    if (sum !== digest(place, search)) return undefined
    const position: Position = { timestampMs, messageId, event }
    return encodeCursor(position, search) === cursor ? position : undefined
  } catch {
    // Not JSON or not an array: not one of ours.
    return undefined
  }
}

/** Tells damage and mix-ups, not attacks: a forged cursor reads nothing that its bearer may not read without one. */
function digest(place: unknown[], search: string): string {
  return hash('sha256', JSON.stringify([place, search]), 'base64url').slice(0, 16)
}
