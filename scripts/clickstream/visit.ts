import { type Source, sourceAt } from './acquisition.ts'
import type { Device } from './audience.ts'
import type { Product } from './catalog.ts'
import type { EventContext, EventName, EventType, JsonObject } from './event.ts'
import { deviceOf, type Person } from './people.ts'
import type { Random } from './random.ts'

/** An event that has its time but not yet its place in the stream. */
export interface Step {
  atMs: number
  event: EventName
  type: EventType
  userId: string | undefined
  anonymousId: string
  groupId: string | undefined
  properties: JsonObject
  traits: JsonObject | undefined
  context: EventContext
}

/** One visit while it is being played: flows append to `steps` and move `atMs` on. */
export interface Visit {
  random: Random
  person: Person
  device: Device
  source: Source
  steps: Step[]
  atMs: number
  signedIn: boolean
  cart: { product: Product; quantity: number }[]
  /** Present on every event of the visit: which sides of which experiments this person sees. */
  experiments: JsonObject
  visitContext: EventContext
  pageContext: EventContext
  path: string
}

export const SITE = 'https://shop.nordlicht.example'

export interface VisitStart {
  random: Random
  person: Person
  atMs: number
  /** How far through the range the visit happens, in [0, 1). */
  share: number
  library: EventContext['library']
}

export function startVisit({ random, person, atMs, share, library }: VisitStart): Visit {
  const device = deviceOf(person, random)
  const source = sourceAt(share, random)
  const visitContext: EventContext = {
    library,
    country: person.country.code,
    locale: person.locale,
    timezone: person.country.timeZone,
    ...device.context,
    ...(source.campaign && { campaign: source.campaign }),
    ...(source.referrer && { referrer: { url: source.referrer } }),
    sessionId: random.uuid(),
  }
  return {
    random,
    person,
    device,
    source,
    steps: [],
    atMs,
    // Most people with an account stay signed in from visit to visit.
    signedIn: person.registered && random.chance(0.82),
    cart: [],
    experiments: experimentsOf(person, share),
    visitContext,
    pageContext: visitContext,
    path: source.referrer,
  }
}

/** Appends an event, then lets the person pause for about `pauseSeconds` before the next one. */
export function track(visit: Visit, event: EventName, properties: JsonObject, pauseSeconds = 8): void {
  append(visit, 'track', event, { ...properties, ...visit.experiments }, pauseSeconds)
}

export function viewPage(visit: Visit, path: string, title: string, pauseSeconds = 5): void {
  const { device, visitContext, path: referrer } = visit
  const url = `${SITE}${path}`
  if (device.isApp) {
    visit.pageContext = { ...visitContext, screenName: title }
    append(visit, 'screen', 'Screen Viewed', { name: title }, pauseSeconds)
  } else {
    visit.pageContext = { ...visitContext, page: { path, url, title, referrer } }
    append(visit, 'page', 'Page Viewed', { path, url, title, referrer }, pauseSeconds)
  }
  visit.path = url
}

/** Ties the device's anonymousId to the person: from here on events of this visit carry the userId too. */
export function signIn(visit: Visit, method: string): void {
  const { person } = visit
  visit.signedIn = true
  append(visit, 'identify', 'User Identified', { method }, 1, {
    email: person.email,
    plan: person.plan,
    country: person.country.code,
    orders: person.orders,
    newsletter: person.subscribedToNewsletter,
  })
}

export function joinTeam(visit: Visit, team: string): void {
  visit.person.team = team
  append(visit, 'group', 'Team Joined', { team }, 6, { name: `Team ${team.slice(5)}`, plan: visit.person.plan })
}

function append(
  visit: Visit,
  type: EventType,
  event: EventName,
  properties: JsonObject,
  pauseSeconds: number,
  traits?: JsonObject,
): void {
  const { person, device, random, signedIn, pageContext: context } = visit
  visit.steps.push({
    atMs: visit.atMs,
    event,
    type,
    userId: signedIn ? person.userId : undefined,
    anonymousId: device.anonymousId,
    groupId: signedIn ? person.team : undefined,
    properties,
    traits,
    context,
  })
  visit.atMs += 300 + Math.round(1000 * Math.min(random.exponential(pauseSeconds), 600))
}

/** Experiments run for a part of the range each; a person stays on one side of each. */
const EXPERIMENTS: [name: string, from: number, to: number][] = [
  ['experiment_checkoutSteps', 0.1, 0.35],
  ['experiment_stickyCart', 0.3, 0.55],
  ['experiment_searchRanking', 0.5, 0.9],
  ['experiment_freeShippingBar', 0.7, 1],
]

function experimentsOf(person: Person, share: number): JsonObject {
  const sides: JsonObject = {}
  const bits = Number(person.userId.slice(-6))
  EXPERIMENTS.forEach(([name, from, to], index) => {
    if (share >= from && share < to) sides[name] = (bits >> index) & 1 ? 'variant' : 'control'
  })
  return sides
}
