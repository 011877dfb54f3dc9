import type { EventResult, IngestAnswer } from './schemas.ts'

/** What JSON needs no escapes for, and ids mostly consist of. */
const PLAIN = /^[\w:.-]*$/

/**
 * The JSON of an answer. It lists every event, or those that were not accepted: of a large batch the others would be most of what
 * the server sends. Written by hand because a generic serializer takes longer for it than the events took to be read.
 */
export function answerText(
  { accepted, duplicates, rejected, quarantined, results, ...beyond }: IngestAnswer,
  listsAll: boolean,
): string {
  // Of events beyond the limit, where there are any: what is left of the answer, as the last members of an object.
  const rest = JSON.stringify(beyond).slice(1)
  const limited = rest === '}' ? '' : `,${rest.slice(0, -1)}`
  const listed = listsAll ? results : accepted === results.length ? [] : results.filter(isNotAccepted)
  return `{"accepted":${accepted},"duplicates":${duplicates},"rejected":${rejected},"quarantined":${quarantined}${limited},"results":[${listed.map(resultText).join(',')}]}`
}

const isNotAccepted = ({ status }: EventResult) => status !== 'accepted'

function resultText(result: EventResult): string {
  const { index, messageId, status } = result
  if (result.code !== undefined || messageId === null || !PLAIN.test(messageId)) return JSON.stringify(result)
  const unstable = result.deduplication === undefined ? '' : ',"deduplication":"none"'
  return `{"index":${index},"messageId":"${messageId}","status":"${status}"${unstable}}`
}
