import type { EventFields } from './plain-body.ts'
import type { KeptApart } from './quarantine-row.ts'
import { type ByteString, fromBytes } from './row.ts'
import type { Violation } from './violation.ts'

/** A violation as a plan finds it; `field` is what the plan counts it by. */
type PlanViolation = Violation & { field: string }

/** What the door asks a tracking plan. The domain that keeps plans reads events, so it is not imported here. */
export interface Plan {
  version: number
  /** Whether an event of this name has a schema; of any other only the name and the type are looked at. */
  has: (event: string) => boolean
  check: (event: PlannedEvent) => PlanViolation[] | null
  actionFor: (violations: readonly PlanViolation[]) => 'observe' | 'warn' | 'quarantine' | 'reject'
  /** Counts violations for whoever reads the plan. */
  count: (event: string, violations: readonly PlanViolation[]) => void
}

interface PlannedEvent {
  event: string
  type: string
  properties?: Record<string, unknown> | undefined
  traits?: Record<string, unknown> | undefined
  context?: Record<string, unknown> | undefined
}

/** What a plan says of an event that breaks it; its first violation is the one that the sender is told. */
export interface PlanVerdict {
  action: 'warn' | 'quarantine' | 'reject'
  code: 'plan.violation' | 'plan.unplanned'
  path: string
  message: string
  violations: readonly Violation[]
  planVersion: number
}

/** Holds an event against the plan of its project; undefined when it may pass without a word. */
export function judge(plan: Plan, fields: EventFields): PlanVerdict | undefined {
  const event = fromBytes(fields.event)
  const isPlanned = plan.has(event)
  const violations = plan.check({ event, type: fields.type, ...(isPlanned ? bagsOf(fields) : {}) })
  const [first] = violations ?? []
  if (!violations || !first) return undefined
  plan.count(event, violations)
  const action = plan.actionFor(violations)
  if (action === 'observe') return undefined
  const { path, message } = first
  const code = isPlanned ? 'plan.violation' : 'plan.unplanned'
  return { action, code, path, message, violations, planVersion: plan.version }
}

/** What the quarantine keeps of the event. Only what the sender said, so that a replay can be judged as it was. */
export function keptBy(
  { code, violations, planVersion }: PlanVerdict,
  fields: EventFields,
): Pick<KeptApart, 'event' | 'payload' | 'reason' | 'violations' | 'planVersion'> {
  const { event, messageId, userId, anonymousId, groupId, timestamp } = fields
  const text = (bytes: ByteString) => (bytes === '' ? undefined : fromBytes(bytes))
  const payload = JSON.stringify({
    event: fromBytes(event),
    messageId: text(messageId),
    type: fields.type,
    userId: text(userId),
    anonymousId: text(anonymousId),
    groupId: text(groupId),
    timestamp: timestamp === undefined ? undefined : new Date(timestamp).toISOString(),
    ...bagsOf(fields),
  })
  const kept = violations.map(({ path, keyword, message }) => ({ path, keyword, message }))
  return { event: fromBytes(event), payload, reason: code, violations: kept, planVersion }
}

const bagsOf = ({ properties, traits, context }: EventFields) => ({
  properties: bag(properties),
  traits: bag(traits),
  context: bag(context),
})

const bag = (bytes: ByteString): Record<string, unknown> | undefined =>
  bytes === '' ? undefined : JSON.parse(fromBytes(bytes))
