import { PLANS, type PlanName } from '../people.ts'
import { joinTeam, signIn, track, type Visit, viewPage } from '../visit.ts'
import { register } from './checkout.ts'

export const PLAN_PRICE_CENTS: Record<PlanName, number> = { free: 0, starter: 900, team: 2900, business: 9900 }
const TOPICS = ['returns', 'shipping', 'payment', 'warranty', 'account', 'giftCards', 'sizes', 'plans']

export function manageAccount(visit: Visit): void {
  const { random, person } = visit
  if (!visit.signedIn) comeIn(visit)
  if (!visit.signedIn) return
  viewPage(visit, '/account', 'Account', 6)
  if (person.wishlist > 0 && random.chance(0.4)) track(visit, 'Wishlist Viewed', { wishlistSize: person.wishlist }, 12)
  if (random.chance(0.1))
    track(visit, 'Profile Updated', { field: random.pick(['address', 'name', 'email', 'phone', 'birthday']) }, 20)
  followUpOrder(visit)
  if (person.plan === 'team' || person.plan === 'business') runTeam(visit)
}

function comeIn(visit: Visit): void {
  const { random } = visit
  viewPage(visit, '/sign-in', 'Sign in', 6)
  if (random.chance(0.09)) {
    track(visit, 'Password Reset Requested', { via: 'mail' }, 60)
    if (random.chance(0.3)) return
  }
  const method = random.pick(['password', 'password', 'google', 'apple'])
  track(visit, 'Signed In', { method, at: 'account' }, 1)
  signIn(visit, method)
}

function followUpOrder(visit: Visit): void {
  const { random, person } = visit
  const order = person.lastOrder
  if (!order) return
  const { orderId, totalCents, product } = order
  const amount = totalCents / 100
  if (random.chance(0.6))
    track(visit, 'Order Tracked', { orderId, carrier: random.pick(['DHL', 'UPS', 'PostNord']) }, 10)
  if (random.chance(0.2)) track(visit, 'Invoice Downloaded', { orderId, format: 'pdf' }, 5)
  if (random.chance(0.12)) {
    track(visit, 'Product Reviewed', { productId: product.sku, rating: Math.min(5, random.between(2, 7)) }, 40)
  }
  if (random.chance(0.06)) {
    const reason = random.pick(['unwanted', 'damaged', 'late', 'wrongItem'])
    track(visit, 'Order Refunded', { orderId, amount, currency: person.country.currency, reason }, 8)
    person.lastOrder = undefined
  }
}

function runTeam(visit: Visit): void {
  const { random, person } = visit
  if (!person.team) joinTeam(visit, `team_${1 + Math.floor(Number(person.userId.slice(-6)) / 40)}`)
  else if (random.chance(0.15))
    track(visit, 'Team Member Invited', { team: person.team, role: random.pick(['member', 'viewer', 'admin']) })
}

export function openAccount(visit: Visit): void {
  viewPage(visit, '/sign-up', 'Sign up', 20)
  if (visit.random.chance(0.7)) register(visit, 'account')
}

export function reconsiderPlan(visit: Visit): void {
  const { random, person } = visit
  viewPage(visit, '/plans', 'Plans', 4)
  track(visit, 'Pricing Viewed', { currentPlan: person.plan, interval: random.chance(0.7) ? 'month' : 'year' }, 25)
  if (!person.registered) {
    if (random.chance(0.1)) register(visit, 'plans')
    return
  }
  if (!visit.signedIn) comeIn(visit)
  if (!visit.signedIn) return
  if (person.subscribed) changePlan(visit)
  else if (random.chance(0.2)) subscribe(visit)
}

function subscribe(visit: Visit): void {
  const { random, person } = visit
  const plan = random.pick(['starter', 'starter', 'starter', 'team', 'team', 'business'] as const)
  track(visit, 'Trial Started', { plan, trialDays: 14 }, 30)
  if (!random.chance(0.5)) return
  person.plan = plan
  person.subscribed = true
  track(visit, 'Subscription Started', {
    plan,
    amount: PLAN_PRICE_CENTS[plan] / 100,
    currency: person.country.currency,
    interval: 'month',
  })
}

function changePlan(visit: Visit): void {
  const { random, person } = visit
  const fate = random.next()
  if (fate < 0.08) {
    track(visit, 'Subscription Canceled', {
      plan: person.plan,
      reason: random.pick(['price', 'unused', 'missingFeature', 'other']),
    })
    person.plan = 'free'
    person.subscribed = false
  } else if (fate < 0.25) {
    const from = person.plan
    person.plan = random.pick(PLANS.filter((plan) => plan !== from && plan !== 'free'))
    const direction = PLAN_PRICE_CENTS[person.plan] > PLAN_PRICE_CENTS[from] ? 'upgrade' : 'downgrade'
    track(visit, 'Plan Changed', { from, to: person.plan, direction }, 10)
  }
}

export function seekHelp(visit: Visit): void {
  const { random } = visit
  const topic = random.pick(TOPICS)
  viewPage(visit, `/help/${topic}`, 'Help', 3)
  do
    track(
      visit,
      'Help Article Viewed',
      { topic, article: `${topic}-${random.between(1, 30)}`, helpful: random.chance(0.6) },
      45,
    )
  while (random.chance(0.35))
  if (random.chance(0.12))
    track(visit, 'Support Ticket Opened', { topic, channel: random.pick(['mail', 'chat', 'phone']) }, 90)
}
