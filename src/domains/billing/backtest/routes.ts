import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { invalidRequest } from '../../../errors.ts'
import { organizationScope } from '../../../http/access.ts'
import { OrganizationParams as params, problemResponses } from '../../../http/schemas.ts'
import type { Plan, PlanTerms } from '../catalog/plan.ts'
import { BacktestInput, BacktestResult, FleetBacktestInput, FleetBacktestResult } from './schemas.ts'
import type { BacktestService } from './service.ts'
import { toFleetResult, toResult } from './summary.ts'

const PERIODS = 12
const problems = problemResponses(400, 401, 403, 404, 413, 415, 422, 429, 503)
const HIDDEN = 'For the operator of the platform; to everybody else the route is not there.'

interface Options {
  backtests: BacktestService
  catalog: {
    readPlan: (planKey: string) => Promise<Plan>
    planVersion: (planKey: string) => Promise<Plan>
  }
}

export const backtestRoutes: FastifyPluginAsyncTypebox<Options> = async (app, { backtests, catalog }) => {
  app.post(
    '/v1/organizations/:organizationId/billing/backtest',
    {
      // It writes nothing: the body is too large for an address.
      config: { access: 'billing:read', whileFrozen: true },
      schema: {
        operationId: 'backtestPlan',
        summary: 'Price past periods on another plan',
        description: `What each of the last periods would have cost on a plan that is on offer, or on terms of your own, from the events
that were billed; before coupons and tax.`,
        tags: ['Billing'],
        params,
        body: BacktestInput,
        response: { 200: BacktestResult, ...problems },
      },
    },
    async (request) => {
      const { periods = PERIODS, ...draft } = request.body
      const terms = await termsOf(draft, catalog.readPlan)
      const { organizationId } = organizationScope(request)
      return toResult(await backtests.ofOrganization(organizationId, terms, periods), terms)
    },
  )

  app.post(
    '/v1/admin/organizations/:organizationId/backtest',
    {
      config: { access: 'operator' },
      schema: {
        operationId: 'adminBacktestPlan',
        summary: "Price an organization's past periods on another plan",
        description: `Also on a plan that is not on offer. An organization without a past has no periods. ${HIDDEN}`,
        tags: ['Platform'],
        params,
        body: BacktestInput,
        response: { 200: BacktestResult, ...problems },
      },
    },
    async (request) => {
      const { periods = PERIODS, ...draft } = request.body
      const terms = await termsOf(draft, catalog.planVersion)
      return toResult(await backtests.ofOrganization(request.params.organizationId, terms, periods), terms)
    },
  )

  app.post(
    '/v1/admin/plans/backtest',
    {
      config: { access: 'operator' },
      schema: {
        operationId: 'adminBacktestFleet',
        summary: 'Price the past of every organization on another plan',
        description: `Who would have paid more, who less, and what it comes to. It measures every period anew, one after the other. ${HIDDEN}`,
        tags: ['Platform'],
        body: FleetBacktestInput,
        response: { 200: FleetBacktestResult, ...problems },
      },
    },
    async (request) => {
      const { periods = PERIODS, onPlan: planKey, ...draft } = request.body
      const terms = await termsOf(draft, catalog.planVersion)
      return toFleetResult(backtests.ofAll(terms, { periods, planKey }), terms)
    },
  )
}

/** The draft that a request names, in one of the two ways. */
async function termsOf(
  { planKey, terms }: { planKey?: string; terms?: PlanTerms },
  read: (planKey: string) => Promise<Plan>,
): Promise<PlanTerms> {
  if (terms !== undefined && planKey === undefined) return terms
  if (planKey === undefined || terms !== undefined) {
    const errors = [{ path: '/planKey', message: 'either this or terms must be there, and not both' }]
    throw invalidRequest('Name a plan, or give the terms of one.', { errors })
  }
  const { key: _key, version: _version, ...said } = await read(planKey)
  return said
}
