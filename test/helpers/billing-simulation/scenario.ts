import type { Random } from '../../../scripts/clickstream/random.ts'
import type { Coupon } from '../../../src/domains/billing/pricing/coupon.ts'
import { courseOf } from '../naive-billing/course.ts'
import type { Act, Done, Ledger, PlanVersion, Receipt } from '../naive-billing/ledger.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

export const METERS: Ledger['meters'] = {
  seats: { of: 'seats', event: 'Seat added' },
  calls: { of: 'event', event: 'API called' },
}

/** Coupons that the operator has made. */
export const COUPONS: Record<string, { coupon: Coupon; currency: string | null }> = {
  WELCOME: { coupon: { kind: 'percent', basisPoints: 2000n, duration: { kind: 'once' } }, currency: null },
  QUARTER: {
    coupon: { kind: 'percent', basisPoints: 3333n, duration: { kind: 'periods', periods: 3n } },
    currency: null,
  },
  TENOFF: { coupon: { kind: 'amount', amount: 1000n, duration: { kind: 'periods', periods: 2n } }, currency: 'USD' },
  ALWAYS: { coupon: { kind: 'amount', amount: 7n, duration: { kind: 'forever' } }, currency: 'USD' },
  ZEHN: { coupon: { kind: 'amount', amount: 1001n, duration: { kind: 'forever' } }, currency: 'EUR' },
}

const TIME_ZONES = [
  ...['UTC', 'America/New_York', 'Europe/Berlin', 'Asia/Kolkata', 'Australia/Lord_Howe', 'Pacific/Auckland'],
  ...['Pacific/Chatham', 'America/Sao_Paulo', 'Africa/Casablanca'],
]
const TAXES = [0n, 700n, 1900n, 825n, 2550n]

export const timeZoneOf = (n: number) => TIME_ZONES[n % TIME_ZONES.length] ?? 'UTC'

export interface Setting {
  startMs: number
  endMs: number
  ticksMs: readonly number[]
  graceMs: number
  onTheWayMs: number
  /** Every plan at a time, by its key. */
  planAt: (key: string, ms: number) => PlanVersion
}

export interface Scenario {
  timeZone: string
  openAtMs: number
  done: Done[]
}

/** What happens to the nth organization; the rules forbid some of it, and the program has to refuse just that. */
export function makeScenario(n: number, random: Random, setting: Setting, agreed: PlanVersion): Scenario {
  const timeZone = timeZoneOf(n)
  const openAtMs = openingOf(n, random, setting)
  const done: Done[] = [{ atMs: openAtMs, act: { kind: 'open' } }]
  const keys = isEuropean(n)
    ? ['euro', 'euro', 'free', 'basic']
    : ['pro', 'pro', 'basic', 'yearly', 'free', 'enterprise']
  const planAt = (key: string, atMs: number) => (key === 'enterprise' ? agreed : setting.planAt(key, atMs))
  const add = (atMs: number, act: Act) => done.push({ atMs, act })
  add(openAtMs + 1000, { kind: 'tax', basisPoints: TAXES[n % TAXES.length] ?? 0n })
  const { acts, quietUntilMs } = couponCourse(n, openAtMs, planAt)
  done.push(...acts)
  if (n % 9 !== 0 && acts.length === 0) {
    const key = random.chance(0.7) ? (keys[n % keys.length] ?? 'pro') : random.pick(keys)
    const firstMs = openAtMs + random.pick([2000, 30 * 60_000, random.below(12 * DAY_MS)])
    add(firstMs, { kind: 'changePlan', plan: planAt(key, firstMs) })
    // What came late for a plan that was left is billed on a free one.
    if (isEuropean(n)) add(firstMs + DAY_MS, { kind: 'changePlan', plan: planAt('free', firstMs) })
  }
  for (let atMs = quietUntilMs; ; ) {
    atMs += HOUR_MS + random.below(16 * DAY_MS)
    if (atMs >= setting.endMs) break
    add(
      atMs,
      randomAct(random, atMs, (wantedMs) => planAt(random.pick(keys), wantedMs)),
    )
  }
  for (const code of Object.keys(COUPONS)) {
    const chosen = COUPONS[code]
    if (!chosen || !random.chance(0.25) || done.some(({ act }) => act.kind === 'redeem' && act.code === code)) continue
    add(openAtMs + 3000 + random.below(40 * DAY_MS), { kind: 'redeem', code, ...chosen })
  }
  if (n % 3 === 0) add(openAtMs + random.below(50 * DAY_MS), { kind: 'credit', amount: BigInt(1 + random.below(9000)) })
  if (n % 7 === 0) add(openAtMs + 30 * DAY_MS, { kind: 'tax', basisPoints: random.pick(TAXES) })
  return { timeZone, openAtMs, done: withBoundaries(n, inOrder(done), quietUntilMs, { timeZone, ...setting }) }
}

/**
 * What some begin with, and until when nothing else happens to them. A coupon that counts once is redeemed on the free plan before a
 * trial; or the first paid period of somebody with a fixed amount off is cut short by a plan of another interval.
 */
function couponCourse(n: number, openAtMs: number, planAt: (key: string, atMs: number) => PlanVersion) {
  const kind = isEuropean(n) ? 0 : n % 6
  const redeem = (code: string): Done[] => {
    const chosen = COUPONS[code]
    return chosen ? [{ atMs: openAtMs + 4000, act: { kind: 'redeem', code, ...chosen } }] : []
  }
  const change = (atMs: number, key: string): Done => ({ atMs, act: { kind: 'changePlan', plan: planAt(key, atMs) } })
  if (kind === 1) {
    const trialMs = openAtMs + 3 * DAY_MS
    return { acts: [...redeem('WELCOME'), change(trialMs, 'pro')], quietUntilMs: trialMs + 14 * DAY_MS }
  }
  if (kind !== 2) return { acts: [], quietUntilMs: openAtMs }
  const cutMs = openAtMs + (9 + (n % 5)) * DAY_MS
  return {
    acts: [...redeem('TENOFF'), change(openAtMs + 5000, 'basic'), change(cutMs, 'yearly')],
    quietUntilMs: cutMs,
  }
}

/** Billed in another currency than the others. */
const isEuropean = (n: number) => n % 8 === 5

/** At any hour, and half of them on one of the last days of a month. */
function openingOf(n: number, random: Random, { startMs }: Setting): number {
  const lateMs = Date.UTC(new Date(startMs).getUTCFullYear(), new Date(startMs).getUTCMonth(), 28 + (n % 4))
  const dayMs = n % 2 === 0 ? lateMs : startMs + random.below(14) * DAY_MS
  return dayMs + random.below(DAY_MS / 1000) * 1000
}

function randomAct(random: Random, atMs: number, plan: (atMs: number) => PlanVersion): Act {
  const dice = random.below(100)
  if (dice < 46) return { kind: 'changePlan', plan: plan(atMs) }
  if (dice < 60) return { kind: 'cancel' }
  if (dice < 68) return { kind: 'reactivate' }
  if (dice < 75) return { kind: 'withdrawChange' }
  if (dice < 85) return { kind: 'pause' }
  if (dice < 97) return { kind: 'resume' }
  return { kind: 'closeNow' }
}

/** Moves some acts to the very end of a period, and to the second before it. */
function withBoundaries(n: number, done: Done[], fromMs: number, setting: Setting & { timeZone: string }): Done[] {
  const free = setting.planAt('free', 0)
  const { periods } = courseOf({ ...setting, defaultPlan: free, done, receipts: [], meters: {} })
  const [period] = periods.filter(({ ended }) => ended).slice(-1)
  const isChange = ({ kind }: Act) => kind === 'changePlan' || kind === 'cancel'
  const last = done.findLast(({ atMs, act }) => isChange(act) && atMs > fromMs + 1000)
  if (!period || !last || n % 3 === 0) return done
  const atMs = period.endsAtMs - (n % 3 === 1 ? 0 : 1000)
  const { act } = last
  const isPublic = act.kind === 'changePlan' && !act.plan.isCustom
  const moved = { atMs, act: isPublic ? { ...act, plan: setting.planAt(act.plan.key, atMs) } : act }
  return inOrder(done.map((one) => (one === last ? moved : one)))
}

/** Whole seconds, and no two at the same. */
function inOrder(done: Done[]): Done[] {
  const sorted = done.toSorted((one, other) => one.atMs - other.atMs)
  let lastMs = 0
  return sorted.map(({ atMs, act }) => {
    lastMs = Math.max(Math.floor(atMs / 1000) * 1000, lastMs + 1000)
    return { atMs: lastMs, act }
  })
}

const NAMES = ['Page viewed', 'Page viewed', 'Page viewed', 'API called', 'Seat added']

/** Events around the clock, some late, some sent again, and some at the very edges of hours, periods and cut-offs. */
export function makeReceipts(
  random: Random,
  scenario: Scenario,
  setting: Setting,
  projectIds: readonly string[],
): Receipt[] {
  const receipts: Receipt[] = []
  const send = (timestampMs: number, receivedAtMs: number) => {
    const event = random.pick(NAMES)
    const seats = event === 'Seat added' ? BigInt(1 + random.below(5)) : 0n
    const messageId = `m${receipts.length}`
    const receipt = { projectId: random.pick(projectIds), messageId, event, timestampMs, receivedAtMs, seats }
    receipts.push(receipt)
    if (random.chance(0.08)) receipts.push({ ...receipt, receivedAtMs: receivedAtMs + 1 + random.below(40 * DAY_MS) })
  }
  const spanMs = setting.endMs - scenario.openAtMs
  const count = 100 + random.below(500)
  for (let index = 0; index < count; index++) {
    const timestampMs = scenario.openAtMs + random.below(spanMs)
    send(timestampMs, timestampMs + random.below(random.chance(0.07) ? 50 * DAY_MS : 120_000))
  }
  const free = setting.planAt('free', 0)
  const { periods } = courseOf({ ...setting, ...scenario, defaultPlan: free, receipts: [], meters: {} })
  for (const { usageToMs, endsAtMs } of periods) {
    const cutOffMs = endsAtMs + setting.graceMs
    for (const timestampMs of [usageToMs - 1, usageToMs, endsAtMs - 1, endsAtMs]) send(timestampMs, timestampMs + 5)
    for (const receivedAtMs of [cutOffMs - 1, cutOffMs, cutOffMs + 1])
      send(usageToMs - 1 - random.below(HOUR_MS), receivedAtMs)
  }
  const lastMs = setting.ticksMs.at(-1) ?? 0
  return receipts.filter(({ receivedAtMs }) => receivedAtMs <= lastMs)
}
