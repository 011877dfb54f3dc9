import type { Postgres } from '../../../infra/postgres.ts'
import { keptFromMs } from '../../projects/index.ts'
import { proofNotFound } from '../errors.ts'
import { canonicalText, contentHashOf } from '../invoices/canonical.ts'
import type { MeasuredPart } from '../meters/measuring.ts'
import { dayOf, GENESIS, proofDocument } from './document.ts'
import type { ProofSigner } from './signing.ts'
import * as store from './store.ts'

interface Dependencies {
  postgres: Postgres
  meters: {
    parts: (
      organizationId: string,
      question: {
        meterKey: string
        meterVersion: number
        from: Date
        to: Date
        receivedThrough: Date
        receivedAfter?: Date
        by: readonly ('hour' | 'day' | 'project')[]
      },
    ) => Promise<{ rows: MeasuredPart[] }>
  }
  signer: ProofSigner
  /** Everything of an organization is stored that was acknowledged until then. */
  storedThrough: (organizationId: string) => Promise<Date>
  clock?: () => Date
}

const DAY_MS = 86_400_000
/** After the end of its day an event has this long to come; one that comes later is named by the next proof. */
const GRACE_MS = DAY_MS
/** As long as a request may be on its way that was stamped before. */
const MARGIN_MS = 5 * 60_000
/** How far back proofs reach that were never made, and events that came late. */
const REACH_MS = 62 * DAY_MS

export type ProofsService = ReturnType<typeof createProofsService>

/** What every organization used, day by day: counted from the events, chained, and signed, so that others can hold us to it. */
export function createProofsService({
  postgres,
  meters,
  signer,
  storedThrough,
  clock = () => new Date(),
}: Dependencies) {
  /** Resolves to whether the proof was made now: it is not while events may still come, nor where somebody else made it. */
  async function prove(organizationId: string, day: string): Promise<boolean> {
    const from = new Date(`${day}T00:00:00Z`)
    const to = new Date(from.getTime() + DAY_MS)
    const receivedThrough = new Date(to.getTime() + GRACE_MS)
    if ((await storedThrough(organizationId)).getTime() < receivedThrough.getTime() + MARGIN_MS) return false
    const previous = await postgres.withTenant(organizationId, store.lastProof)
    if (previous && previous.day >= day) return false
    const question = { meterKey: 'events', meterVersion: 1, receivedThrough }
    const hours = await meters.parts(organizationId, { ...question, from, to, by: ['hour', 'project'] })
    const late = previous && {
      ...question,
      from: new Date(from.getTime() - REACH_MS),
      to: from,
      receivedAfter: receivedThroughOf(previous),
      by: ['day', 'project'] as const,
    }
    const document = proofDocument({
      organizationId,
      day,
      previousHash: previous?.hash ?? GENESIS,
      receivedThrough,
      hours: hours.rows,
      late: late ? (await meters.parts(organizationId, late)).rows : [],
    })
    const text = canonicalText(document)
    const row = {
      organizationId,
      day,
      document: text,
      hash: contentHashOf(text),
      previousHash: document.previousHash,
      ...signer.sign(text),
      createdAt: clock(),
    }
    return postgres.withTenant(organizationId, async (tx) => {
      // Read after the events were: of a day that is being erased nobody can say any more what was used.
      const erasedBeforeMs = Math.max(0, ...(await keptFromMs(tx)).values())
      return erasedBeforeMs <= from.getTime() && store.insertProof(tx, row)
    })
  }

  return {
    keys: signer.keys,

    /**
     * Proves every day that is over and was given its time. Any number of processes may do it: a day is proved once and a chain has no
     * branches. The faults of some organizations do not hold up the others.
     */
    async proveDue(): Promise<{ proved: number; errors: unknown[] }> {
      const nowMs = clock().getTime()
      const days = { fromDay: dayOf(nowMs - REACH_MS), beforeDay: dayOf(nowMs - GRACE_MS - MARGIN_MS) }
      const errors: unknown[] = []
      let proved = 0
      for (const { organizationId, day } of await postgres.withSystem((tx) => store.listUnproved(tx, days))) {
        await prove(organizationId, day).then(
          (isProved) => {
            if (isProved) proved++
          },
          (error) => errors.push(error),
        )
      }
      return { proved, errors }
    },

    async list(organizationId: string, { limit, cursor }: { limit: number; cursor?: string | undefined }) {
      const page = { limit: limit + 1, after: cursor }
      const rows = await postgres.withTenant(organizationId, (tx) => store.listProofs(tx, page))
      const data = rows.slice(0, limit).map(toProof)
      return { data, nextCursor: rows.length > limit ? (data.at(-1)?.day ?? null) : null }
    },

    async read(organizationId: string, day: string) {
      const row = await postgres.withTenant(organizationId, (tx) => store.findProof(tx, day))
      if (!row) throw proofNotFound('The day has no proof: nothing was used on it, or it is not two days over.')
      return toProof(row)
    },
  }
}

const receivedThroughOf = ({ document }: store.ProofRow): Date =>
  new Date((JSON.parse(document) as { receivedThrough: string }).receivedThrough)

const toProof = ({ day, document, hash, keyId, signature }: store.ProofRow) => ({
  day,
  document,
  hash,
  keyId,
  signature,
})
