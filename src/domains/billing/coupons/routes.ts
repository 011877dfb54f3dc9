import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { organizationScope } from '../../../http/access.ts'
import { actingOf } from '../../../http/acting.ts'
import { perAddress } from '../../../http/limits.ts'
import { OrganizationParams as params, problemResponses } from '../../../http/schemas.ts'
import { BillingAccount } from '../accounts/schemas.ts'
import { Redemption } from './schemas.ts'

interface CouponRouteOptions {
  redeem: (organizationId: string, code: string, by: ReturnType<typeof actingOf>) => Promise<void>
  readAccount: (organizationId: string) => Promise<BillingAccount>
}

export const couponRoutes: FastifyPluginAsyncTypebox<CouponRouteOptions> = async (app, { redeem, readAccount }) => {
  app.post(
    '/v1/organizations/:organizationId/billing/coupons',
    {
      config: { access: 'billing:write', rateLimit: perAddress('coupons', 20) },
      schema: {
        operationId: 'redeemCoupon',
        summary: 'Redeem a coupon',
        description: `It counts from the next invoice on that has something to take off. Each invoice belongs to the billing period that begins
with it (to the one that it closes where none does), a change of plan to the one that it is made in. A coupon is used up by the periods in which it
took something off, and a void invoice gives its use back. In such a period a share comes off everything, an amount once. Each code counts
once in an organization.`,
        tags: ['Billing'],
        params,
        body: Redemption,
        response: { 200: BillingAccount, ...problemResponses(400, 401, 403, 404, 409, 413, 415, 429, 503) },
      },
    },
    async (request) => {
      const { organizationId } = organizationScope(request)
      await redeem(organizationId, request.body.code, actingOf(request))
      return readAccount(organizationId)
    },
  )
}
