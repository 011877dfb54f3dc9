import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { organizationScope } from '../../../http/access.ts'
import { actingOf } from '../../../http/acting.ts'
import { OrganizationParams as params, problemResponses } from '../../../http/schemas.ts'
import { BillingAccount, BillingAccountChange } from './schemas.ts'
import type { AccountsService } from './service.ts'

const BILLING = '/v1/organizations/:organizationId/billing'
const tags = ['Billing']

export const accountRoutes: FastifyPluginAsyncTypebox<{ accounts: AccountsService }> = async (app, { accounts }) => {
  app.get(
    BILLING,
    {
      config: { access: 'billing:read', whileFrozen: true },
      schema: {
        operationId: 'readBillingAccount',
        summary: 'Read the billing account',
        description: 'Who is billed, in which currency, at which tax rate, and the coupons that were redeemed.',
        tags,
        params,
        response: { 200: BillingAccount, ...problemResponses(400, 401, 403, 404, 429, 503) },
      },
    },
    (request) => accounts.read(organizationScope(request).organizationId),
  )

  app.patch(
    BILLING,
    {
      config: { access: 'billing:write' },
      schema: {
        operationId: 'changeBillingAccount',
        summary: 'Change the billing account',
        description: 'What is left out stays as it is. Invoices that were issued stay as they are.',
        tags,
        params,
        body: BillingAccountChange,
        response: { 200: BillingAccount, ...problemResponses(400, 401, 403, 404, 413, 415, 429, 503) },
      },
    },
    (request) => accounts.changeAccount(organizationScope(request).organizationId, request.body, actingOf(request)),
  )
}
