import type { MeasuredPart } from '../meters/measuring.ts'

export const GENESIS = '0'.repeat(64)
const HOURS_PER_DAY = 24
const DAY_MS = 86_400_000
const HASH_RANGE = 1n << 256n

interface Counted {
  events: string
  /** The sum, modulo 2^256, of the hashes of the events, as a bill has it: parts sum to their whole. */
  contentHash: string
}

interface ProofInput {
  organizationId: string
  day: string
  previousHash: string
  /** What came later is in a later proof. */
  receivedThrough: Date
  /** By hours since 1970 and project. */
  hours: readonly MeasuredPart[]
  /** By days since 1970 and project: what came between the proof before and this one, for days before. */
  late: readonly MeasuredPart[]
}

/** Everything that a proof says; the same events give the same text. */
export function proofDocument({ hours, late, receivedThrough, ...named }: ProofInput) {
  const projectIds = [...new Set(hours.map(({ keys }) => keys[1] ?? ''))].toSorted()
  return {
    format: 'meterhouse.usage-proof.1',
    ...named,
    receivedThrough: receivedThrough.toISOString(),
    ...sumOf(hours),
    projects: projectIds.map((projectId) => {
      const own = hours.filter(({ keys }) => keys[1] === projectId)
      return {
        projectId,
        ...sumOf(own),
        hours: own
          .map((part) => ({ hour: Number(part.keys[0]) % HOURS_PER_DAY, ...countedOf(part) }))
          .toSorted((one, other) => one.hour - other.hour),
      }
    }),
    late: late
      .map((part) => ({ day: dayOf(Number(part.keys[0]) * DAY_MS), projectId: part.keys[1] ?? '', ...countedOf(part) }))
      .toSorted((one, other) => (`${one.day} ${one.projectId}` < `${other.day} ${other.projectId}` ? -1 : 1)),
  }
}

export const dayOf = (ms: number): string => new Date(ms).toISOString().slice(0, 10)

const countedOf = ({ rowCount, contentHash }: MeasuredPart): Counted => ({ events: rowCount.toString(), contentHash })

function sumOf(parts: readonly MeasuredPart[]): Counted {
  const events = parts.reduce((sum, { rowCount }) => sum + rowCount, 0n)
  const hashes = parts.reduce((sum, { contentHash }) => sum + BigInt(`0x${contentHash}`), 0n)
  return { events: events.toString(), contentHash: (hashes % HASH_RANGE).toString(16).padStart(64, '0') }
}
