import type { Acting } from '../../../http/acting.ts'
import type { Postgres } from '../../../infra/postgres.ts'
import { record } from '../../audit/index.ts'
import { planChanged, planInvalid, planNotFound } from '../errors.ts'
import type { Plan, PlanTerms } from './schemas.ts'
import * as store from './store.ts'
import { termsFaults } from './terms.ts'

/** Anybody may ask for the offers without a credential, so most answers come from memory. */
const OFFERS_TTL_MS = 30_000

export type CatalogService = ReturnType<typeof createCatalogService>

/** New terms for a plan, and the version that they are written against: 0 for a plan that is new. */
export interface NewVersion {
  planKey: string
  baseVersion: number
  terms: PlanTerms
}

/** What there is to subscribe to: for everybody, and agreed with one organization. */
export function createCatalogService({ postgres }: { postgres: Postgres }) {
  const offers = createOffers(() => postgres.withSystem(store.listOffered))

  return {
    listPlans: offers.read,

    /** A plan as it is offered; throws 404 for one that is not. */
    async readPlan(planKey: string): Promise<Plan> {
      const plan = (await offers.read()).find(({ key }) => key === planKey)
      return plan ?? missing()
    },

    /** A version of a public plan, offered or not: what a subscription is on. The newest where none is named. */
    planVersion: async (planKey: string, version?: number): Promise<Plan> =>
      (await postgres.withSystem((tx) => store.findVersion(tx, planKey, version))) ?? missing(),

    /** The same of a plan agreed with an organization. */
    customPlan: async (organizationId: string, planKey: string, version?: number): Promise<Plan> =>
      (await postgres.withTenant(organizationId, (tx) => store.findCustomVersion(tx, planKey, version))) ?? missing(),

    /**
     * Adds a version of a public plan. Subscriptions stay on theirs, and a new plan is not offered yet. Throws 422 with every fault of the
     * terms, and 409 when somebody has changed the plan since `baseVersion`.
     */
    async createPlanVersion({ planKey, baseVersion, terms }: NewVersion, createdBy: string): Promise<Plan> {
      refuseFaults(terms)
      await postgres.withSystem(async (tx) => {
        await store.ensurePlan(tx, planKey)
        const newest = (await store.findVersion(tx, planKey))?.version ?? 0
        const row = { planKey, version: baseVersion + 1, terms, createdBy }
        if (newest !== baseVersion || !(await store.insertVersion(tx, row))) throw conflict()
      })
      offers.forget()
      return { ...terms, key: planKey, version: baseVersion + 1 }
    },

    /** Shows a plan to everybody, or takes it out of what is shown; who subscribes keeps it. */
    async offerPlan(planKey: string, offered: boolean): Promise<void> {
      if (!(await postgres.withSystem((tx) => store.setOffered(tx, planKey, offered)))) missing()
      offers.forget()
    },

    /** Adds a version of a plan for one organization alone, which finds it in its audit log. Throws as `createPlanVersion` does. */
    async createCustomPlanVersion(
      organizationId: string,
      { planKey, baseVersion, terms }: NewVersion,
      by: Acting,
      reason?: string,
    ): Promise<Plan> {
      refuseFaults(terms)
      const version = baseVersion + 1
      await postgres.withTenant(organizationId, async (tx) => {
        const before = await store.findCustomVersion(tx, planKey)
        const row = { organizationId, planKey, version, terms, createdBy: userOf(by) }
        if ((before?.version ?? 0) !== baseVersion || !(await store.insertCustomVersion(tx, row))) throw conflict()
        await record(tx, {
          organizationId,
          by,
          action: 'plan.agreed',
          target: { kind: 'plan', id: planKey },
          ...(before && { before: { ...before } }),
          after: { ...terms, version, ...(reason !== undefined && { reason }) },
        })
      })
      return { ...terms, key: planKey, version }
    },
  }
}

/** Keeps what was read for a while; a reading that failed is not kept, and those who ask at the same time share one. */
function createOffers(readAll: () => Promise<Plan[]>) {
  let kept: { plans: Promise<Plan[]>; untilMs: number } | undefined
  return {
    read(): Promise<Plan[]> {
      if (kept && kept.untilMs > Date.now()) return kept.plans
      const reading = { plans: readAll(), untilMs: Date.now() + OFFERS_TTL_MS }
      kept = reading
      reading.plans.catch(() => {
        // Whoever asked has the error; the next one asks again.
        if (kept === reading) kept = undefined
      })
      return reading.plans
    },
    forget() {
      kept = undefined
    },
  }
}

function refuseFaults(terms: PlanTerms): void {
  const errors = termsFaults(terms)
  if (errors.length > 0) throw planInvalid('The terms have faults; `errors` names each.', { errors })
}

function userOf({ principal }: Acting): string {
  if (principal.kind !== 'session') throw new Error('only people agree on plans')
  return principal.userId
}

function missing(): never {
  throw planNotFound('There is no such plan, or it is not offered.')
}

const conflict = () => planChanged('Somebody else has changed the plan. Read it again before you change it.')
