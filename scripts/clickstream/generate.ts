import { type ClickstreamEvent, type EventContext, LIBRARY } from './event.ts'
import { PLAN_PRICE_CENTS } from './flows/account.ts'
import { play } from './flows/play.ts'
import { type Crowd, createCrowd, type Person } from './people.ts'
import { runOf, type StreamPlan } from './plan.ts'
import { createRandom, type Random } from './random.ts'
import { createRhythm, type Rhythm } from './rhythm.ts'
import { type Step, startVisit } from './visit.ts'

const MINUTE_MS = 60_000
const DAY_MS = 86_400_000

/**
 * The click-stream of a shop: exactly `plan.events` events in time order, all of them before `plan.untilMs`. Pure: equal plans make
 * equal streams, messageIds included, and nothing is asked of the clock or of the machine. It holds the people and the next hours of
 * visits in memory, never the stream.
 */
export function* generate(plan: StreamPlan): Generator<ClickstreamEvent, void, undefined> {
  const world = createWorld(plan)
  const ids = createRandom(`message ids/${runOf(plan)}`)
  const { startMs } = world.rhythm
  for (let minuteMs = startMs; minuteMs < plan.untilMs; minuteMs += MINUTE_MS) {
    const endMs = Math.min(minuteMs + MINUTE_MS, plan.untilMs)
    renewSubscriptions(world, minuteMs, endMs)
    openVisits(world, minuteMs, endMs)
    const steps = world.steps.get(minuteMs)
    if (!steps) continue
    world.steps.delete(minuteMs)
    // The sort is stable: events of the same millisecond keep the order in which they were played.
    steps.sort((a, b) => a.atMs - b.atMs)
    for (const step of steps) yield eventFrom(step, ids.uuid())
  }
}

interface World {
  plan: StreamPlan
  library: EventContext['library']
  random: Random
  rhythm: Rhythm
  crowd: Crowd
  /** Events that are planned and not yet told, and subscriptions that fall due, by the minute. */
  steps: Map<number, Step[]>
  renewals: Map<number, Person[]>
  planned: number
}

function createWorld(plan: StreamPlan): World {
  const random = createRandom(`visits/${plan.seed}`)
  return {
    plan,
    library: { name: LIBRARY, version: '1.0.0', run: runOf(plan) },
    random,
    rhythm: createRhythm(plan),
    crowd: createCrowd(random),
    steps: new Map(),
    renewals: new Map(),
    planned: 0,
  }
}

/** Lets visits begin in this minute until as many events are planned as the rhythm wants by its end; at the very end, all. */
function openVisits(world: World, minuteMs: number, endMs: number): void {
  const { plan, random, rhythm, crowd, library } = world
  const share = rhythm.shareBefore(minuteMs)
  const wanted = endMs === plan.untilMs ? plan.events : plan.events * rhythm.shareBefore(endMs)
  while (world.planned < wanted) {
    const atMs = minuteMs + random.below(endMs - minuteMs)
    const person = nextVisitor(world, atMs, share)
    const visit = startVisit({ random, person, atMs, share, library })
    const wasSubscribed = person.subscribed
    play(visit)
    if (person.subscribed && !wasSubscribed) renewLater(world, person, atMs + 30 * DAY_MS)
    person.busyUntilMs = visit.atMs
    crowd.seen(person)
    planSteps(world, visit.steps)
  }
}

/** Newcomers arrive so that all of `plan.users` have come by the end; whoever had an account before is back early on. */
function nextVisitor(world: World, atMs: number, share: number): Person {
  const { plan, random, rhythm, crowd } = world
  const country = rhythm.countryAt(atMs, random)
  const comebacks = 0.3 * (1 - Math.exp(-share / 0.06))
  if (crowd.size() < Math.max(1, plan.users * Math.min(1, 0.01 + comebacks + 0.7 * share))) {
    const comebackRate = 5 * Math.exp(-share / 0.06)
    const person = crowd.newcomer(country, random.chance(comebackRate / (comebackRate + 0.7)))
    if (person.subscribed) renewLater(world, person, atMs + random.below(30 * DAY_MS))
    return person
  }
  for (let attempt = 1; ; attempt++) {
    const person = crowd.returning(country)
    // With few people everybody may be busy: then somebody opens a second tab.
    if (person.busyUntilMs <= atMs || attempt === 5) return person
  }
}

/** Cuts the last visit to what is still wanted, and squeezes visits that would run past the end of the stream. */
function planSteps(world: World, steps: Step[]): void {
  const { plan } = world
  if (world.planned + steps.length > plan.events) steps.length = plan.events - world.planned
  world.planned += steps.length
  const firstMs = steps[0]?.atMs ?? 0
  const lastMs = steps[steps.length - 1]?.atMs ?? 0
  const squeeze = lastMs < plan.untilMs ? 1 : (plan.untilMs - 1 - firstMs) / (lastMs - firstMs)
  for (const step of steps) {
    step.atMs = firstMs + Math.floor((step.atMs - firstMs) * squeeze)
    append(world.steps, minuteOf(world, step.atMs), step)
  }
}

function renewLater(world: World, person: Person, atMs: number): void {
  if (atMs < world.plan.untilMs) append(world.renewals, minuteOf(world, atMs), person)
}

/** Sent by the shop's server, not by a device: no page, no browser. */
function renewSubscriptions(world: World, minuteMs: number, endMs: number): void {
  const due = world.renewals.get(minuteMs) ?? []
  world.renewals.delete(minuteMs)
  for (const person of due) {
    if (!person.subscribed) continue
    const atMs = minuteMs + world.random.below(endMs - minuteMs)
    const amount = PLAN_PRICE_CENTS[person.plan] / 100
    const step: Step = {
      atMs,
      event: 'Subscription Renewed',
      type: 'track',
      userId: person.userId,
      anonymousId: person.devices[0]?.anonymousId ?? person.userId,
      groupId: person.team,
      properties: { plan: person.plan, amount, currency: person.country.currency, interval: 'month' },
      traits: undefined,
      context: { library: world.library, country: person.country.code, locale: person.locale },
    }
    planSteps(world, [step])
    renewLater(world, person, atMs + 30 * DAY_MS)
  }
}

function minuteOf({ rhythm }: World, atMs: number): number {
  return atMs - ((atMs - rhythm.startMs) % MINUTE_MS)
}

function append<T>(lists: Map<number, T[]>, key: number, item: T): void {
  const list = lists.get(key)
  if (list) list.push(item)
  else lists.set(key, [item])
}

/** Absent fields are left out by JSON.stringify. */
function eventFrom(step: Step, messageId: string): ClickstreamEvent {
  const { event, type, userId, anonymousId, groupId, atMs, properties, traits, context } = step
  const timestamp = new Date(atMs).toISOString()
  return { event, messageId, type, userId, anonymousId, groupId, timestamp, properties, traits, context }
}
