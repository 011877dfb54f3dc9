import type { Acting } from '../../../http/acting.ts'
import { failpoint } from '../../../infra/failpoints.ts'
import { append } from '../../../infra/outbox.ts'
import type { Postgres, SystemTx, TenantTx } from '../../../infra/postgres.ts'
import { record } from '../../audit/index.ts'
import type { Plan } from '../catalog/schemas.ts'
import { findVersion } from '../catalog/store.ts'
import { CHARGES_DUE, PERIOD_ENDED, QUOTA_POLICY_CHANGED, SUBSCRIPTION_CHANGED } from '../fact-kinds.ts'
import { type Course, copyOf, courseOf, type Standing } from './course.ts'
import { wholeSecond } from './period-clock.ts'
import type { Agreed } from './plan-reference.ts'
import { createPlanShelf } from './plan-shelf.ts'
import { policyOf, type QuotaPolicy } from './quota.ts'
import type { Period, Subscription } from './records.ts'
import { roll } from './rolling.ts'
import * as store from './store.ts'

export type Clock = () => Date

interface Dependencies {
  postgres: Postgres
  catalog: {
    planVersion: (planKey: string, version?: number) => Promise<Plan>
    customPlan: (organizationId: string, planKey: string, version?: number) => Promise<Plan>
  }
  /** What an organization is on that has chosen nothing. */
  defaultPlanKey: string
  clock?: Clock
}

/** An act on a subscription: what it does to the course, and what the audit log says of it. */
export interface Act {
  by: Acting | 'system'
  /** As `noun.verb`; without it nothing is written down but what the time has done. */
  action?: string
  /** False when nothing had to be done. */
  change: (course: Course, now: Date) => unknown
  /** When it happens; now, unless a test or a job says so. */
  now?: Date
}

/** A period with the plan that prices it. */
export interface BillingPeriod extends Period {
  plan: Plan
}

export interface Current {
  subscription: Subscription
  plan: Plan
  pending: Plan | null
  /** Null while it is paused past its end. */
  period: BillingPeriod | null
}

export type SubscriptionsService = ReturnType<typeof createSubscriptionsService>

const DUE_BATCH = 100

/**
 * The subscription of every organization. Each change locks the organization's billing account, first does what the time has made due,
 * and is written whole or not at all, so that any number of processes and of impatient people come to one subscription.
 */
export function createSubscriptionsService({
  postgres,
  catalog,
  defaultPlanKey,
  clock = () => new Date(),
}: Dependencies) {
  const shelf = createPlanShelf(catalog)

  /** Brings every plan that the organization is on onto the shelf, and gives the default one. */
  async function prepare(organizationId: string): Promise<Agreed> {
    const live = await postgres.withTenant(organizationId, (tx) => store.findLive(tx, organizationId))
    for (const reference of live ? referencesOf(live) : []) await shelf.fetch(organizationId, reference)
    return { plan: await catalog.planVersion(defaultPlanKey), isCustom: false }
  }

  /** Undefined when the organization has come to another plan than the shelf has. */
  async function readStanding(
    tx: TenantTx | SystemTx,
    account: { organizationId: string; timeZone: string; currency: string | null },
    fallback: Agreed,
  ): Promise<Standing | undefined> {
    const { organizationId, timeZone, currency } = account
    const subscription = await store.findLive(tx, organizationId)
    const latest = await store.findLatestPeriod(tx, organizationId)
    const { phaseCount, tried } = await store.readPhases(tx, organizationId, subscription?.id)
    const standing = { organizationId, timeZone, currency, latest, tried, fallback }
    if (!subscription) return { ...standing, live: undefined }
    const [agreed, pending] = referencesOf(subscription).map((reference) => shelf.peek(organizationId, reference))
    if (!agreed || (subscription.pending && !pending)) return undefined
    return { ...standing, live: { subscription, agreed, pending: pending ?? null, phaseCount } }
  }

  /** Changes the subscription of an organization, one change after the other. */
  async function act(organizationId: string, { by, action, change, now }: Act): Promise<Course> {
    for (;;) {
      const fallback = await prepare(organizationId)
      const done = await postgres.withTenant(organizationId, async (tx) => {
        const account = await store.lockAccount(tx, organizationId)
        const standing = await readStanding(tx, account, fallback)
        if (!standing) return undefined
        const at = timeOf(standing, now ?? clock())
        const course = courseOf(standing, at)
        roll(course, at)
        const isDone = change(course, at) !== false
        await write(tx, course, standing, { by, action: isDone ? action : undefined })
        return course
      })
      if (done) return done
    }
  }

  /** What is there, and what the time has made of it meanwhile where no process has come to it yet. */
  async function currentCourse(organizationId: string): Promise<{ course: Course; now: Date }> {
    const fallback = await prepare(organizationId)
    const standing = await postgres.withTenant(organizationId, async (tx) => {
      const account = await store.findAccount(tx, organizationId)
      return account && readStanding(tx, account, fallback)
    })
    const isDue = standing?.latest?.status === 'open' && standing.latest.endsAt <= clock()
    if (standing?.live && !isDue) {
      const now = timeOf(standing, clock())
      return { course: courseOf(standing, now), now }
    }
    const course = await act(organizationId, { by: 'system', change: () => {} })
    return { course: copyOf(course), now: wholeSecond(clock()) }
  }

  return {
    act,
    currentCourse,
    fetchPlan: shelf.fetch,

    /** Gives a new organization its subscription, inside the transaction that makes it. */
    async begin(tx: SystemTx, organizationId: string): Promise<void> {
      const account = await store.lockAccount(tx, organizationId)
      const plan = await findVersion(tx, defaultPlanKey)
      if (!plan) throw new Error(`there is no plan ${defaultPlanKey} to begin with`)
      const standing = await readStanding(tx, account, { plan, isCustom: false })
      if (!standing) throw new Error('a new organization is on no plan')
      await write(tx, courseOf(standing, wholeSecond(clock())), standing, { by: 'system' })
    },

    /** What an organization is on now. One that is older than subscriptions gets its own. */
    async current(organizationId: string): Promise<Current> {
      const { subscription, agreed, pending, period } = (await currentCourse(organizationId)).course
      const { plan } = agreed
      return { subscription, plan, pending: pending?.plan ?? null, period: period && { ...period, plan } }
    },

    /** What the door counts and refuses by, now and in the period that follows. */
    async quotaPolicyOf(organizationId: string): Promise<QuotaPolicy> {
      const { course } = await currentCourse(organizationId)
      const account = await postgres.withTenant(organizationId, (tx) => store.findAccount(tx, organizationId))
      const after = course.period && copyOf(course)
      if (after?.period) roll(after, after.period.endsAt)
      return policyOf(course, after, account?.limitOverride ?? null)
    },

    /**
     * Ends all periods whose time is over and opens those that follow, organization by organization. Any number of processes may do it,
     * and it may break off anywhere. Gives how many organizations were due; the faults of some do not hold up the others.
     */
    async advance(now: Date = clock()): Promise<{ advanced: number; errors: unknown[] }> {
      const errors: unknown[] = []
      let advanced = 0
      for (let after = ''; ; ) {
        const due = await postgres.withSystem((tx) => store.listDue(tx, now, { after, limit: DUE_BATCH }))
        for (const organizationId of due) {
          await act(organizationId, { by: 'system', change: () => {}, now }).then(
            () => advanced++,
            (error) => errors.push(error),
          )
          failpoint('subscriptions.rolled')
        }
        if (due.length < DUE_BATCH) return { advanced, errors }
        after = due.at(-1) ?? ''
      }
    },
  }
}

const referencesOf = (subscription: Subscription) => {
  const { planKey, planVersion, isCustom, pending } = subscription
  const own = { planKey, planVersion, isCustom }
  return pending ? [own, { planKey: pending.planKey, planVersion: pending.version, isCustom: pending.isCustom }] : [own]
}

/** Nothing happens before what has happened, though the clocks of two processes differ. */
function timeOf({ latest, live }: Standing, now: Date): Date {
  const times = [
    wholeSecond(now),
    live?.subscription.startedAt,
    live?.subscription.pausedAt,
    latest?.status === 'open' && latest.startsAt,
  ]
  return new Date(Math.max(...times.map((time) => (time ? time.getTime() : 0))))
}

type Written = { by: Act['by']; action?: string | undefined }

/** Writes down everything that a course has come to, with the facts that others wait for. */
async function write(
  tx: TenantTx | SystemTx,
  course: Course,
  standing: Standing,
  { by, action }: Written,
): Promise<void> {
  const { organizationId, canceled, ended, phases, charges, period } = course
  const isChanged = canceled.length > 0 || phases.length > 0 || action !== undefined
  if (!isChanged && ended.length === 0) return
  for (const row of canceled) await store.putSubscription(tx, { ...row, revision: row.revision + 1 })
  course.subscription.revision += 1
  await store.putSubscription(tx, course.subscription)
  await store.insertPhases(tx, phases)
  for (const row of ended) await store.putPeriod(tx, row)
  failpoint('subscriptions.ended')
  if (period) await store.putPeriod(tx, period)
  await store.insertCharges(tx, charges)
  if (course.currency !== standing.currency) await store.writeCurrency(tx, organizationId, course.currency)
  for (const { id: periodId } of ended) await append(tx, { organizationId, kind: PERIOD_ENDED, payload: { periodId } })
  if (charges.some(({ due }) => due === 'now')) await append(tx, { organizationId, kind: CHARGES_DUE, payload: {} })
  const { id: subscriptionId, status, planKey } = course.subscription
  const payload = { subscriptionId, status, planKey }
  if (isChanged) await append(tx, { organizationId, kind: SUBSCRIPTION_CHANGED, payload })
  await append(tx, { organizationId, kind: QUOTA_POLICY_CHANGED, payload: {} })
  if (isChanged && standing.live) await writeEntry(tx, course, standing.live.subscription, { by, action })
}

/** What the time has done by itself is written down, too, as long as it changed what the organization is on. */
async function writeEntry(
  tx: TenantTx | SystemTx,
  { organizationId, subscription }: Course,
  before: Subscription,
  { by, action = 'subscription.rolled' }: Written,
): Promise<void> {
  const target = { kind: 'subscription', id: subscription.id }
  await record(tx, { organizationId, by, action, target, before: factsOf(before), after: factsOf(subscription) })
}

const factsOf = ({ id, status, planKey, planVersion, isCustom, pending, cancelAtPeriodEnd }: Subscription) => ({
  ...{ id, status, planKey, planVersion, isCustom, pending, cancelAtPeriodEnd },
})
