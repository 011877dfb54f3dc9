import type { JsonObject } from '../event.ts'
import { signIn, track, type Visit, viewPage } from '../visit.ts'
import { buyingOf } from './shop.ts'

/** A coupon's code and the hundredths that it takes off. */
const COUPONS: [string, number][] = [
  ['WELCOME10', 10],
  ['NEWS5', 5],
  ['SALE20', 20],
  ['MEMBER15', 15],
]
const PAYMENT_METHODS = ['card', 'card', 'card', 'paypal', 'paypal', 'applePay', 'invoice', 'giftCard']
const SHIPPING: [string, number][] = [
  ['standard', 490],
  ['standard', 490],
  ['standard', 490],
  ['express', 1290],
  ['pickup', 0],
]
const FREE_SHIPPING_CENTS = 7500

/** From the cart towards an order; at every step somebody leaves. */
export function checkOut(visit: Visit): void {
  const { random, cart } = visit
  if (random.chance(0.12)) return
  viewPage(visit, '/cart', 'Cart', 2)
  track(visit, 'Cart Viewed', { ...cartOf(visit), currency: visit.person.country.currency }, 15)
  if (random.chance(0.1)) {
    const removed = cart.pop()
    if (removed) track(visit, 'Product Removed', { productId: removed.product.sku, quantity: removed.quantity }, 5)
  }
  if (cart.length === 0 || !random.chance(Math.min(0.8, 0.42 + 0.12 * buyingOf(visit)))) return

  viewPage(visit, '/checkout', 'Checkout', 3)
  track(visit, 'Checkout Started', { ...cartOf(visit), currency: visit.person.country.currency }, 12)
  identifyAtCheckout(visit)
  const coupon = redeemCoupon(visit)
  track(visit, 'Checkout Step Completed', { step: 1, stepName: 'address' }, 35)
  if (random.chance(0.1)) return
  const [method, feeCents] = random.pick(SHIPPING)
  track(visit, 'Shipping Method Selected', { method, fee: feeCents / 100 }, 8)
  track(visit, 'Checkout Step Completed', { step: 2, stepName: 'shipping' }, 10)
  if (random.chance(0.08)) return
  const paymentMethod = random.pick(PAYMENT_METHODS)
  if (pay(visit, paymentMethod)) completeOrder(visit, feeCents, coupon, paymentMethod)
}

function identifyAtCheckout(visit: Visit): void {
  const { random, person, signedIn } = visit
  if (signedIn) return
  if (person.registered) {
    if (!random.chance(0.85)) return
    track(visit, 'Signed In', { method: 'password', at: 'checkout' }, 2)
    signIn(visit, 'password')
  } else if (random.chance(0.55)) {
    register(visit, 'checkout')
  }
}

/** An account is made: the anonymous person becomes a known one. */
export function register(visit: Visit, at: string): void {
  const method = visit.random.pick(['password', 'password', 'google', 'apple'])
  visit.person.registered = true
  track(visit, 'Signed Up', { method, at }, 2)
  signIn(visit, method)
}

function redeemCoupon(visit: Visit): [string, number] | undefined {
  const { random } = visit
  if (!random.chance(0.16)) return undefined
  const coupon = random.pick(COUPONS)
  if (random.chance(0.24)) {
    track(visit, 'Coupon Denied', { coupon: coupon[0], reason: random.pick(['expired', 'minimum', 'unknown']) }, 7)
    return undefined
  }
  track(visit, 'Coupon Applied', { coupon: coupon[0], discountPercent: coupon[1] }, 6)
  return coupon
}

function pay(visit: Visit, paymentMethod: string): boolean {
  const { random } = visit
  for (let attempt = 1; attempt <= 3; attempt++) {
    track(visit, 'Payment Info Entered', { paymentMethod, attempt }, 14)
    if (!random.chance(0.07)) return true
    track(
      visit,
      'Payment Failed',
      { paymentMethod, reason: random.pick(['declined', 'timeout', 'authentication']) },
      12,
    )
    if (random.chance(0.4)) return false
  }
  return false
}

/** Money is counted in cents and written with two decimals, so that sums can be compared exactly. */
function completeOrder(
  visit: Visit,
  feeCents: number,
  coupon: [string, number] | undefined,
  paymentMethod: string,
): void {
  const { random, person, cart } = visit
  const first = cart[0]
  if (!first) return
  const subtotalCents = cart.reduce((sum, { product, quantity }) => sum + product.priceCents * quantity, 0)
  const discountCents = coupon ? Math.round((subtotalCents * coupon[1]) / 100) : 0
  const shippingCents = subtotalCents >= FREE_SHIPPING_CENTS ? 0 : feeCents
  const totalCents = subtotalCents - discountCents + shippingCents
  const orderId = `NL-${random.between(10_000_000, 99_999_999)}`
  person.orders++
  person.lastOrder = { orderId, totalCents, product: first.product }
  viewPage(visit, '/checkout/thanks', 'Order received', 1)
  track(visit, 'Order Completed', {
    orderId,
    total: totalCents / 100,
    subtotal: subtotalCents / 100,
    shipping: shippingCents / 100,
    discount: discountCents / 100,
    currency: person.country.currency,
    quantity: cart.reduce((sum, { quantity }) => sum + quantity, 0),
    paymentMethod,
    firstOrder: person.orders === 1,
    ...(coupon && { coupon: coupon[0] }),
    products: cart.map(({ product, quantity }) => ({
      productId: product.sku,
      price: product.priceCents / 100,
      quantity,
    })),
  })
  visit.cart = []
}

function cartOf({ cart }: Visit): JsonObject {
  const cents = cart.reduce((sum, { product, quantity }) => sum + product.priceCents * quantity, 0)
  return { itemCount: cart.length, value: cents / 100 }
}
