import { type CheckedEvent, createEventCheck, type EventCheck, type Violation } from './check.ts'
import type { JsonSchema } from './keywords.ts'

export const MODES = ['observe', 'warn', 'quarantine', 'reject'] as const
export type Mode = (typeof MODES)[number]
export const UNPLANNED = ['allow', 'warn', 'quarantine', 'reject'] as const
export type Unplanned = (typeof UNPLANNED)[number]

/** What Postgres knows of the plan of a project. */
export interface StoredPlan {
  version: number
  mode: Mode
  unplannedEvents: Unplanned
  schemas: { event: string; version: number; schema: JsonSchema }[]
}

/** The plan of a project that never had one. */
export const NO_PLAN: StoredPlan = { version: 0, mode: 'observe', unplannedEvents: 'allow', schemas: [] }

/** The plan of a project, ready to check events. All of it is synchronous. */
export interface Plan {
  version: number
  mode: Mode
  unplanned: Unplanned
  /** Whether an event of this name has a schema: for any other, `check` looks at the name and the type alone. */
  has: (event: string) => boolean
  /** What is wrong with an event; null when nothing is. */
  check: EventCheck
  /** What to do with an event that has these violations. `observe` means: count them and go on. */
  actionFor: (violations: readonly Violation[]) => Mode
}

const UNPLANNED_KEYWORD = 'planned'
const NOT_PLANNED: Violation[] = [
  { path: '/event', field: '/event', keyword: UNPLANNED_KEYWORD, message: 'is not an event of the tracking plan' },
]

interface KnownCheck {
  version: number
  check: EventCheck
}
const checksOf = new WeakMap<Plan, Map<string, KnownCheck>>()

/** Compiles a plan; what the plan before it has compiled and did not change is taken over. Null when there is nothing to check. */
export function createPlan(stored: StoredPlan, before: Plan | null): Plan | null {
  const { version, mode, unplannedEvents: unplanned, schemas } = stored
  if (schemas.length === 0 && unplanned === 'allow') return null
  const known = before ? checksOf.get(before) : undefined
  const checks = new Map<string, KnownCheck>()
  for (const { event, version, schema } of schemas) {
    const same = known?.get(event)
    checks.set(event, same?.version === version ? same : { version, check: createEventCheck(schema) })
  }
  const plan: Plan = {
    version,
    mode,
    unplanned,
    has: (event) => checks.has(event),
    check(event: CheckedEvent) {
      const planned = checks.get(event.event)
      if (planned) return planned.check(event)
      // Only tracked events have names that somebody chose; what identifies, groups or views a page is never a surprise.
      const isChosen = event.type === undefined || event.type === 'track'
      return isChosen && unplanned !== 'allow' ? [...NOT_PLANNED] : null
    },
    actionFor: ([violation]) => (violation?.keyword === UNPLANNED_KEYWORD && unplanned !== 'allow' ? unplanned : mode),
  }
  checksOf.set(plan, checks)
  return plan
}
