import { type Static, Type } from '@sinclair/typebox'

const OwnUrl = (description: string) =>
  Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 500,
      pattern: '^[\\x21-\\x7e]+$',
      description,
      examples: ['/account/billing'],
    }),
  )

export const CheckoutInput = Type.Object(
  {
    planKey: Type.String({ pattern: '^[a-z][a-z0-9-]{0,49}$', description: 'Key of the plan.', examples: ['pro'] }),
    successUrl: OwnUrl('Where to go afterwards, on this server; its start page where it is left out.'),
    cancelUrl: OwnUrl('Where to go instead, on this server.'),
  },
  { additionalProperties: false, examples: [{ planKey: 'pro' }] },
)
export type CheckoutInput = Static<typeof CheckoutInput>

export const PortalInput = Type.Object(
  { returnUrl: OwnUrl('Where the way back leads, on this server.') },
  { additionalProperties: false, examples: [{}] },
)

const NotCounted = Type.Object(
  {
    credit: Type.Union([
      Type.Object({ amount: Type.String({ description: 'Minor units, as a string.' }), currency: Type.String() }),
      Type.Null(),
    ]),
    coupons: Type.Array(Type.String(), { description: 'Codes of coupons that would come off an invoice of ours.' }),
  },
  {
    description: `What the organization has and Stripe does not count: say so before anybody pays. Credit is kept for invoices that Stripe does not
collect; the periods that a coupon counts for go by.`,
  },
)
export type NotCounted = Static<typeof NotCounted>

export const CheckoutPage = Type.Object(
  { url: Type.String({ description: 'A page of Stripe: open it in the browser.' }), notCounted: NotCounted },
  {
    description: 'Where to go next, and what will not count there.',
    examples: [
      {
        url: 'https://checkout.stripe.com/c/pay/cs_test_a1',
        notCounted: { credit: { amount: '2000', currency: 'USD' }, coupons: ['WELCOME'] },
      },
    ],
  },
)
export type CheckoutPage = Static<typeof CheckoutPage>

export const Redirect = Type.Object(
  { url: Type.String({ description: 'A page of Stripe: open it in the browser.' }) },
  { description: 'Where to go next.', examples: [{ url: 'https://checkout.stripe.com/c/pay/cs_test_a1' }] },
)
