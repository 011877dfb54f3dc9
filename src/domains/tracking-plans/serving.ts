import { LRUCache } from 'lru-cache'
import { unavailable } from '../../errors.ts'
import type { ProjectScope } from '../../http/access.ts'
import { createPlan, NO_PLAN, type Plan, type StoredPlan } from './plan.ts'

/**
 * How long a process may act on what it knows of a plan. A publication normally arrives within a second as a fact; this bounds it when
 * the message is lost, with a second to spare of the five that are promised. Half-way there it is read again in the background.
 */
const KNOWN_FOR_MS = 4000
const REFRESH_AFTER_MS = 2000
const PROJECTS_MAX = 10_000
/** Of text; parsed and compiled it takes some fifteen times that. */
const SCHEMA_BYTES_MAX = 8 * 1024 * 1024

interface Known {
  plan: Plan | null
  version: number
  readAtMs: number
  bytes: number
}

/** Reads a plan, or undefined when it is still at the version that is known. */
export type ReadPlan = (scope: ProjectScope, knownVersion: number | undefined) => Promise<StoredPlan | undefined>

/** The plans that this process checks events with. */
export function createServing(read: ReadPlan, now: () => number = Date.now) {
  const plans = new LRUCache<string, Known>({
    max: PROJECTS_MAX,
    maxSize: SCHEMA_BYTES_MAX,
    sizeCalculation: ({ bytes }) => bytes,
  })
  const reading = new Map<string, Promise<Known>>()
  const keyOf = ({ organizationId, projectId }: ProjectScope) => `${organizationId}/${projectId}`

  /** One reading at a time; whoever asks meanwhile waits for it. */
  function refresh(scope: ProjectScope, key: string): Promise<Known> {
    const running = reading.get(key)
    if (running) return running
    const started: Promise<Known> = load(scope, plans.get(key))
      .then((next) => {
        // What was told to be out of date meanwhile is read anew: this may have been read before the change.
        if (reading.get(key) === started) plans.set(key, next)
        return next
      })
      .finally(() => {
        if (reading.get(key) === started) reading.delete(key)
      })
    reading.set(key, started)
    return started
  }

  async function load(scope: ProjectScope, known: Known | undefined): Promise<Known> {
    const readAtMs = now()
    const stored = await read(scope, known?.version)
    if (!stored && known) return { ...known, readAtMs }
    return knownOf(stored ?? NO_PLAN, known?.plan ?? null, readAtMs)
  }

  return {
    /**
     * The plan of a project, or null when it has nothing to check. Throws 503 only for a plan that was never read: while Postgres is
     * away the last known one goes on serving.
     */
    async planOf(scope: ProjectScope): Promise<Plan | null> {
      const key = keyOf(scope)
      const known = plans.get(key)
      const ageMs = known ? now() - known.readAtMs : Number.POSITIVE_INFINITY
      if (known && ageMs < REFRESH_AFTER_MS) return known.plan
      const next = refresh(scope, key)
      if (known && ageMs < KNOWN_FOR_MS) {
        // When this one fails, the next one is waited for and says so.
        next.catch(() => {})
        return known.plan
      }
      try {
        return (await next).plan
      } catch (cause) {
        if (!known) throw unavailable('The tracking plan cannot be read right now. Try again in a moment.', { cause })
        // Whoever comes in the next moments need not wait for the same failure.
        known.readAtMs = now() - REFRESH_AFTER_MS
        return known.plan
      }
    },

    /** Makes this process read the plan again before it is used next. */
    expire(scope: ProjectScope): void {
      const key = keyOf(scope)
      reading.delete(key)
      const known = plans.get(key)
      if (known) known.readAtMs = Number.NEGATIVE_INFINITY
    },
  }
}

function knownOf(stored: StoredPlan, before: Plan | null, readAtMs: number): Known {
  const bytes = stored.schemas.reduce((sum, { schema }) => sum + JSON.stringify(schema).length, 100)
  return { plan: createPlan(stored, before), version: stored.version, readAtMs, bytes }
}
