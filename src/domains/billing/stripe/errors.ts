import { defineProblem } from '../../../errors.ts'

export const stripeMissing = defineProblem('billing.stripe_missing', 409, 'This server does not collect through Stripe')
export const planNotSold = defineProblem('billing.plan_not_sold', 409, 'The plan cannot be bought')
export const alreadySubscribed = defineProblem('billing.already_subscribed', 409, 'There is a subscription already')
export const taxNotCollected = defineProblem('billing.tax_not_collected', 409, 'Stripe would collect no tax')
export const noCustomer = defineProblem('billing.no_customer', 409, 'Nothing was bought yet')
export const checkoutBusy = defineProblem('billing.checkout_busy', 503, 'Somebody else is buying at this moment')
export const stripeUnavailable = defineProblem('billing.stripe_unavailable', 503, 'Stripe is not available')
export const stripeRefused = defineProblem('billing.stripe_refused', 502, 'Stripe refused')
export const webhookRefused = defineProblem('billing.webhook_refused', 400, 'The event is not one of Stripe’s')
export const stripeEventNotFound = defineProblem('billing.stripe_event_not_found', 404, 'Event not found')
