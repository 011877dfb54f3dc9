import type { Acting } from '../../../../http/acting.ts'
import type { Plan } from '../../catalog/schemas.ts'
import { planByAgreement } from '../../errors.ts'
import { type Course, copyOf } from '../course.ts'
import * as decisions from '../decisions.ts'
import type { Agreed } from '../plan-reference.ts'
import { follow, type Provided } from '../provided.ts'
import { roll } from '../rolling.ts'
import { type ChangePreview, type Subscription, toChargeView, toPeriodView, toSubscription } from '../schemas.ts'

export type ChangesService = ReturnType<typeof createChangesService>

interface Dependencies {
  subscriptions: {
    act: (organizationId: string, act: { by: Acting | 'system'; action: string; change: Change }) => Promise<Course>
    currentCourse: (organizationId: string) => Promise<{ course: Course; now: Date }>
  }
  catalog: {
    readPlan: (planKey: string) => Promise<Plan>
    planVersion: (planKey: string, version?: number) => Promise<Plan>
    customPlan: (organizationId: string, planKey: string, version?: number) => Promise<Plan>
  }
}

type Change = (course: Course, now: Date) => unknown

/** A version of a plan that an operator names; the newest where none is named. */
export interface Assignment {
  planKey: string
  version?: number
  isCustom: boolean
}

export type FromProvider = Assignment & Omit<Provided, 'agreed'>

/** What members and the operator decide about the subscription of an organization. */
export function createChangesService({ subscriptions, catalog }: Dependencies) {
  const act = (action: string, change: Change) => async (organizationId: string, by: Acting) =>
    toSubscription(await subscriptions.act(organizationId, { by, action: `subscription.${action}`, change }))

  /** A plan that everybody may choose. */
  async function offer(planKey: string): Promise<Agreed> {
    const plan = await catalog.readPlan(planKey)
    if (plan.basePrice === null) throw planByAgreement(`${plan.name} is agreed with each customer. Ask for an offer.`)
    return { plan, isCustom: false }
  }

  const versionOf = async (organizationId: string, { planKey, version, isCustom }: Assignment): Promise<Agreed> => ({
    plan: isCustom
      ? await catalog.customPlan(organizationId, planKey, version)
      : await catalog.planVersion(planKey, version),
    isCustom,
  })

  const changeTo =
    (target: Agreed): Change =>
    (course, now) =>
      decisions.changeTo(course, target, now)

  return {
    read: async (organizationId: string): Promise<Subscription> =>
      toSubscription((await subscriptions.currentCourse(organizationId)).course),

    /** See decisions.changeTo. */
    async changePlan(organizationId: string, planKey: string, by: Acting): Promise<Subscription> {
      return act('changed', changeTo(await offer(planKey)))(organizationId, by)
    },

    /** What changing the plan at this moment would come to. */
    async preview(organizationId: string, planKey: string): Promise<ChangePreview> {
      const target = await offer(planKey)
      const { course, now } = await subscriptions.currentCourse(organizationId)
      decisions.changeTo(course, target, now)
      const isLater = course.pending !== null
      const after = isLater ? copyOf(course) : course
      const at = isLater && course.period ? course.period.endsAt : now
      if (isLater) roll(after, at)
      const total = after.charges.reduce((sum, { amount }) => sum + amount, 0n)
      return {
        effective: isLater ? 'period_end' : 'now',
        effectiveAt: at.toISOString(),
        plan: target.plan,
        charges: after.charges.map(toChargeView),
        total: String(total),
        currency: target.plan.currency,
        period: after.period && toPeriodView(after.period),
      }
    },

    withdraw: act('change_withdrawn', decisions.withdraw),
    cancel: act('canceled', decisions.cancel),
    reactivate: act('reactivated', decisions.reactivate),
    pause: act('paused', decisions.pause),
    resume: act('resumed', decisions.resume),
    closeNow: act('closed', decisions.closeNow),

    /** Puts an organization on any version of any plan, for an operator; by the rules of every change. */
    async assignPlan(organizationId: string, assignment: Assignment, by: Acting): Promise<Subscription> {
      return act('plan_assigned', changeTo(await versionOf(organizationId, assignment)))(organizationId, by)
    },

    /** Makes the subscription what a payment provider says it is; see provided.follow. Safe to repeat. */
    async setFromProvider(
      organizationId: string,
      { planKey, version, isCustom, ...provided }: FromProvider,
    ): Promise<Subscription> {
      const agreed = await versionOf(organizationId, { planKey, isCustom, ...(version !== undefined && { version }) })
      const change: Change = (course, now) => follow(course, { ...provided, agreed }, now)
      const act = { by: 'system', action: 'subscription.synchronized', change } as const
      return toSubscription(await subscriptions.act(organizationId, act))
    },
  }
}
