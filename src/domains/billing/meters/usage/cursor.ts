import { hash } from 'node:crypto'

/** The place of an event in an hour: by name, then by id. */
export interface Place {
  event: string
  messageId: string
}

/** An opaque cursor that points after the place, for the question that it came from. */
export function encodeCursor({ event, messageId }: Place, question: string): string {
  const place = [event, messageId]
  return Buffer.from(JSON.stringify([digest(place, question), ...place])).toString('base64url')
}

/** undefined for anything that `encodeCursor` did not make for the same question. */
export function decodeCursor(cursor: string, question: string): Place | undefined {
  try {
    const [sum, ...place] = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8')) as string[]
    const [event = '', messageId = ''] = place
    return sum === digest(place, question) ? { event, messageId } : undefined
  } catch {
    // Not JSON or not an array: not one of ours.
    return undefined
  }
}

/** Tells mix-ups, not attacks: a forged cursor reads nothing that its bearer may not read without one. */
const digest = (place: string[], question: string) =>
  hash('sha256', JSON.stringify([place, question]), 'base64url').slice(0, 16)
