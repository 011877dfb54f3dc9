import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import { actingOf } from '../../../http/acting.ts'
import { personOf } from '../../../http/person.ts'
import { OrganizationParams as params, problemResponses } from '../../../http/schemas.ts'
import { BillingAccount } from '../accounts/schemas.ts'
import type { AccountsService } from '../accounts/service.ts'
import { PlanSchema } from '../catalog/schemas.ts'
import type { CatalogService } from '../catalog/service.ts'
import { CouponInput } from '../coupons/schemas.ts'
import type { CouponsService } from '../coupons/service.ts'
import { summaryOf } from '../coupons/terms.ts'
import type { ChangesService } from '../subscriptions/changes/service.ts'
import { SubscriptionSchema } from '../subscriptions/schemas.ts'
import { AssignmentInput, BillingTerms, CouponMade, CustomPlanInput, ReasonInput } from './schemas.ts'

const ORGANIZATION = '/v1/admin/organizations/:organizationId'
const config = { access: 'operator' } as const
const tags = ['Platform']
const HIDDEN = 'For the operator of the platform; to everybody else the route is not there.'

interface OperatorRouteOptions {
  catalog: CatalogService
  changes: ChangesService
  accounts: AccountsService
  coupons: CouponsService
  /** Throws 404 for an organization that is not there. */
  assertOrganization: (organizationId: string) => Promise<void>
}

export const operatorRoutes: FastifyPluginAsyncTypebox<OperatorRouteOptions> = async (app, options) => {
  const { catalog, changes, accounts, coupons, assertOrganization } = options
  const operatorOf = (request: FastifyRequest) => ({ ...actingOf(request), asOperator: true as const })

  app.post(
    `${ORGANIZATION}/plans`,
    {
      config,
      schema: {
        operationId: 'adminAgreePlan',
        summary: 'Agree a plan with an organization',
        description: `Adds a version of a plan that is this organization's alone. Assign it to let it count. ${HIDDEN}`,
        tags,
        params,
        body: CustomPlanInput,
        response: { 201: PlanSchema, ...problemResponses(400, 404, 409, 413, 415, 422, 429, 503) },
      },
    },
    async (request, reply) => {
      const { organizationId } = request.params
      await assertOrganization(organizationId)
      const { reason, ...version } = request.body
      const plan = await catalog.createCustomPlanVersion(organizationId, version, operatorOf(request), reason)
      return reply.code(201).send(plan)
    },
  )

  app.post(
    `${ORGANIZATION}/plan`,
    {
      config,
      schema: {
        operationId: 'adminAssignPlan',
        summary: 'Put an organization on a plan',
        description: `Any version of a public plan, or one that was agreed with it; by the rules of every change of plan. ${HIDDEN}`,
        tags,
        params,
        body: AssignmentInput,
        response: { 200: SubscriptionSchema, ...problemResponses(400, 404, 409, 413, 415, 429, 503) },
      },
    },
    async (request) => {
      const { organizationId } = request.params
      await assertOrganization(organizationId)
      const { reason, ...assignment } = request.body
      return changes.assignPlan(organizationId, assignment, operatorOf(request), reason)
    },
  )

  app.post(
    `${ORGANIZATION}/close-subscription`,
    {
      config,
      schema: {
        operationId: 'adminCloseSubscription',
        summary: 'End a subscription at once',
        description: `Its usage up to now is billed, and nothing is paid back. The organization is on the default plan from then on. ${HIDDEN}`,
        tags,
        params,
        body: ReasonInput,
        response: { 200: SubscriptionSchema, ...problemResponses(400, 404, 409, 413, 415, 429, 503) },
      },
    },
    async (request) => {
      const { organizationId } = request.params
      await assertOrganization(organizationId)
      return changes.closeNow(organizationId, operatorOf(request), request.body.reason)
    },
  )

  app.patch(
    `${ORGANIZATION}/billing`,
    {
      config,
      schema: {
        operationId: 'adminSetBillingTerms',
        summary: 'Set the tax rate or the limit of an organization',
        description: `A limit in the place of the plan's counts at the door within two seconds; null takes it away. A tax rate is refused while Stripe
collects from the organization, which it does without the tax. ${HIDDEN}`,
        tags,
        params,
        body: BillingTerms,
        response: { 200: BillingAccount, ...problemResponses(400, 404, 409, 413, 415, 429, 502, 503) },
      },
    },
    async (request) => {
      const { organizationId } = request.params
      await assertOrganization(organizationId)
      const { reason, ...terms } = request.body
      return accounts.setTerms(organizationId, terms, operatorOf(request), reason)
    },
  )

  app.post(
    '/v1/admin/coupons',
    {
      config,
      schema: {
        operationId: 'adminMakeCoupon',
        summary: 'Make a coupon',
        description: `Organizations redeem it by its code. ${HIDDEN}`,
        tags,
        body: CouponInput,
        response: { 201: CouponMade, ...problemResponses(400, 404, 409, 413, 415, 429, 503) },
      },
    },
    async (request, reply) => {
      const { code, terms } = request.body
      await coupons.create(request.body, personOf(request).userId)
      return reply.code(201).send({ code, summary: summaryOf(terms) })
    },
  )
}
