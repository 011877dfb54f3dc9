import { COUNTRIES, type Country, type Device, newDevice } from './audience.ts'
import { CATEGORY_NAMES, type Product } from './catalog.ts'
import { itemAt, pickWeighted, type Random, weighted } from './random.ts'

export const PLANS = ['free', 'starter', 'team', 'business'] as const
export type PlanName = (typeof PLANS)[number]

export interface Person {
  userId: string
  email: string
  country: Country
  locale: string
  devices: Device[]
  favorite: string
  /** How readily this person buys, against the average. */
  buying: number
  /** Chances in the draw of who comes back: 0 for one-time visitors, dozens for the heavy users. */
  tickets: number
  /** Has an account; before that the person is known by the device's anonymousId only. */
  registered: boolean
  plan: PlanName
  subscribed: boolean
  team: string | undefined
  visits: number
  orders: number
  lastOrder: { orderId: string; totalCents: number; product: Product } | undefined
  wishlist: number
  subscribedToNewsletter: boolean
  busyUntilMs: number
}

const PLAN_WEIGHTS = weighted<[PlanName, number]>(
  [
    ['free', 78],
    ['starter', 13],
    ['team', 7],
    ['business', 2],
  ],
  ([, weight]) => weight,
)
const RECENT_PER_COUNTRY = 600

export interface Crowd {
  /** How many people there are by now. */
  size: () => number
  /** Somebody nobody has seen before; `known` people had an account before the stream began. */
  newcomer: (country: Country, known: boolean) => Person
  /** Somebody who was here before: half of the draws go to recent visitors, so that habits form and fade.
   *  Needs somebody to have come. */
  returning: (country: Country) => Person
  /** To be told of every visit. */
  seen: (person: Person) => void
}

/** Everybody who ever came, and the draws of who comes next. */
export function createCrowd(random: Random): Crowd {
  const tickets = new Map<Country, Person[]>(COUNTRIES.map((country) => [country, []]))
  const recent = new Map<Country, Person[]>(COUNTRIES.map((country) => [country, []]))
  const listOf = (lists: Map<Country, Person[]>, country: Country) => lists.get(country) ?? []
  const everybody: Person[] = []

  return {
    size: () => everybody.length,
    newcomer: (country, known) => {
      const person = newPerson(everybody.length + 1, country, known, random)
      const draw = listOf(tickets, country)
      for (let i = 0; i < person.tickets; i++) draw.push(person)
      everybody.push(person)
      return person
    },
    returning: (country) => {
      const lately = listOf(recent, country)
      if (lately.length > 0 && random.chance(0.5)) return random.pick(lately)
      const draw = listOf(tickets, country)
      return random.pick(draw.length > 0 ? draw : everybody)
    },
    seen: (person) => {
      if (person.tickets === 0) return
      const lately = listOf(recent, person.country)
      if (lately.length < RECENT_PER_COUNTRY) lately.push(person)
      else lately[random.below(RECENT_PER_COUNTRY)] = person
    },
  }
}

export function deviceOf(person: Person, random: Random): Device {
  return itemAt(person.devices, random.chance(0.75) ? 0 : person.devices.length - 1)
}

function newPerson(number: number, country: Country, known: boolean, random: Random): Person {
  const userId = `user_${String(number).padStart(6, '0')}`
  const plan = known ? itemAt(pickWeighted(PLAN_WEIGHTS, random), 0) : 'free'
  return {
    userId,
    email: `${userId.replace('_', '.')}@shopper.example`,
    country,
    locale: random.pick(country.locales),
    devices: random.chance(0.3) ? [newDevice(random), newDevice(random)] : [newDevice(random)],
    favorite: random.pick(CATEGORY_NAMES),
    buying: 0.25 + random.exponential(0.75),
    tickets: newTickets(known, random),
    registered: known,
    plan: plan as PlanName,
    subscribed: plan !== 'free',
    team: plan === 'team' || plan === 'business' ? `team_${1 + Math.floor(number / 40)}` : undefined,
    visits: known ? random.between(2, 40) : 0,
    orders: known ? random.below(4) : 0,
    lastOrder: undefined,
    wishlist: 0,
    subscribedToNewsletter: known && random.chance(0.4),
    busyUntilMs: 0,
  }
}

/** Two newcomers in five never return; the others follow a Pareto tail with a few very busy people at its end. */
function newTickets(known: boolean, random: Random): number {
  if (!known && random.chance(0.4)) return 0
  return Math.min(120, Math.floor((1 - random.next()) ** (-1 / 1.25)))
}
