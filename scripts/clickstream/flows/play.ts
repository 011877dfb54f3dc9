import { track, type Visit, viewPage } from '../visit.ts'
import { manageAccount, openAccount, reconsiderPlan, seekHelp } from './account.ts'
import { checkOut } from './checkout.ts'
import { browse, search } from './shop.ts'

type Flow = (visit: Visit) => void

/** One visit from landing to leaving, written into `visit.steps`. */
export function play(visit: Visit): void {
  const { random, person, source } = visit
  track(
    visit,
    'Session Started',
    {
      visitNumber: person.visits + 1,
      returning: person.visits > 0,
      channel: source.campaign?.medium ?? (source.referrer ? 'organic' : 'direct'),
    },
    0.4,
  )
  land(visit)
  const isFirst = person.visits++ === 0
  if (isFirst && random.chance(0.6))
    track(visit, 'Banner Dismissed', { banner: 'consent', choice: random.chance(0.7) ? 'all' : 'necessary' })
  if (random.chance(isFirst ? 0.38 : 0.26)) return

  for (const flow of intentions(visit)) flow(visit)
  if (visit.cart.length > 0) checkOut(visit)
  if (!person.subscribedToNewsletter && random.chance(0.012)) {
    person.subscribedToNewsletter = true
    track(visit, 'Newsletter Subscribed', { placement: random.pick(['footer', 'popup', 'checkout']) })
  }
  if (visit.signedIn && random.chance(0.03)) track(visit, 'Signed Out', { manual: random.chance(0.8) })
}

function land(visit: Visit): void {
  const { random, person, source } = visit
  if (source.campaign && random.chance(0.55)) viewPage(visit, `/l/${source.campaign.name}`, 'Landing')
  else if (source.referrer && random.chance(0.5)) viewPage(visit, `/c/${person.favorite}`, 'Category')
  else viewPage(visit, '/', 'Home')
  if (!random.chance(0.3)) return
  const promotion = {
    promotionId: `promo_${random.between(1, 14)}`,
    creative: random.pick(['hero', 'strip', 'tile']),
    position: random.between(1, 4),
  }
  track(visit, 'Promotion Viewed', promotion, 3)
  if (random.chance(0.1)) track(visit, 'Promotion Clicked', promotion, 2)
}

/** What the visit is for, mostly one thing, sometimes several. */
function intentions(visit: Visit): Flow[] {
  const { random, person } = visit
  const flows: Flow[] = []
  const fate = random.next()
  if (person.registered && fate < 0.16) flows.push(manageAccount)
  else if (!person.registered && fate < 0.11) flows.push(openAccount)
  else if (fate < 0.21) flows.push(reconsiderPlan)
  else if (fate < 0.27) flows.push(seekHelp)
  else if (fate < 0.52) flows.push(search)
  else flows.push(browse)
  while (flows.length < 5 && random.chance(0.42)) flows.push(random.chance(0.35) ? search : browse)
  return flows
}
