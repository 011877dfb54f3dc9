import { hash } from 'node:crypto'

/** The place of an item in the order of receipt, ties by message id. */
export interface Place {
  receivedAtMs: number
  messageId: string
}

/** An opaque cursor that points after the place, for the search that it came from. */
export function encodeCursor({ receivedAtMs, messageId }: Place, search: string): string {
  const place = [receivedAtMs, messageId]
  return Buffer.from(JSON.stringify([digest(place, search), ...place])).toString('base64url')
}

/** undefined for anything that `encodeCursor` did not make for the same search. */
export function decodeCursor(cursor: string, search: string): Place | undefined {
  try {
    const [sum, ...place] = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8')) as [string, number, string]
    const [receivedAtMs, messageId] = place
    return sum === digest(place, search) ? { receivedAtMs, messageId } : undefined
  } catch {
    // Not JSON or not an array: not one of ours.
    return undefined
  }
}

/** Tells mix-ups, not attacks: a forged cursor reads nothing that its bearer may not read without one. */
const digest = (place: unknown[], search: string) =>
  hash('sha256', JSON.stringify([place, search]), 'base64url').slice(0, 16)
