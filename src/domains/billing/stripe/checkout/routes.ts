import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { organizationScope } from '../../../../http/access.ts'
import { actingOf } from '../../../../http/acting.ts'
import { OrganizationParams, problemResponses } from '../../../../http/schemas.ts'
import { stripeMissing } from '../errors.ts'
import { ownUrl } from './own-url.ts'
import { CheckoutInput, CheckoutPage, PortalInput, Redirect } from './schemas.ts'
import type { CheckoutService } from './service.ts'

const BILLING = '/v1/organizations/:organizationId/billing'
const tags = ['Billing']
const STATUSES = [400, 401, 403, 404, 409, 413, 415, 429, 502, 503] as const

interface CheckoutRoutesOptions {
  /** Undefined where nobody pays through Stripe. */
  checkout: CheckoutService | undefined
  publicUrl: string
}

export const checkoutRoutes: FastifyPluginAsyncTypebox<CheckoutRoutesOptions> = async (
  app,
  { checkout, publicUrl },
) => {
  const sold = () => {
    if (!checkout) throw stripeMissing('Nothing is bought here: ask whoever runs this server.')
    return checkout
  }

  app.post(
    `${BILLING}/checkout`,
    {
      config: { access: 'billing:write' },
      schema: {
        operationId: 'createCheckout',
        summary: 'Buy a plan',
        description: `Gives the address of a page of Stripe on which a plan is paid for. Asked again, it gives the same page as long as nobody
has paid. The plan begins when Stripe says that it is paid, whether or not anybody comes back. With a subscription already there it is refused, and
so it is where a tax rate is set, as Stripe would collect without the tax. Credit and coupons do not count for what Stripe collects: the
answer names them.`,
        tags,
        params: OrganizationParams,
        body: CheckoutInput,
        response: { 200: CheckoutPage, ...problemResponses(...STATUSES) },
      },
    },
    (request) => {
      const { planKey, successUrl, cancelUrl } = request.body
      const purchase = {
        planKey,
        successUrl: ownUrl(publicUrl, 'successUrl', successUrl),
        cancelUrl: ownUrl(publicUrl, 'cancelUrl', cancelUrl),
      }
      return sold().checkout(organizationScope(request).organizationId, purchase, actingOf(request))
    },
  )

  app.post(
    `${BILLING}/portal`,
    {
      config: { access: 'billing:write' },
      schema: {
        operationId: 'createBillingPortal',
        summary: 'Manage cards and the subscription',
        description:
          'Gives the address of a page of Stripe for cards, receipts, and changing or ending the subscription.',
        tags,
        params: OrganizationParams,
        body: PortalInput,
        response: { 200: Redirect, ...problemResponses(...STATUSES) },
      },
    },
    (request) =>
      sold().portal(organizationScope(request).organizationId, ownUrl(publicUrl, 'returnUrl', request.body.returnUrl)),
  )
}
