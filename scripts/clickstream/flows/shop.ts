import { CATEGORY_NAMES, type Product, pickProduct, productProperties } from '../catalog.ts'
import { track, type Visit, viewPage } from '../visit.ts'

const SORTS = ['relevance', 'popularity', 'priceAscending', 'priceDescending', 'newest']
const FILTERS = ['brand', 'price', 'color', 'rating', 'delivery', 'onSale', 'material', 'size']

/** How readily this visitor, on this device, from this source, buys; 1 is average for a direct desktop visit. */
export function buyingOf({ person, device, source }: Visit): number {
  return person.buying * device.buying * source.buying
}

export function browse(visit: Visit): void {
  const { random, person } = visit
  const category = random.chance(0.5) ? person.favorite : random.pick(CATEGORY_NAMES)
  viewPage(visit, `/c/${category}`, 'Category', 2)
  track(visit, 'Product List Viewed', { category, productCount: random.between(24, 100), sort: random.pick(SORTS) }, 14)
  while (random.chance(0.28)) {
    const filter = random.pick(FILTERS)
    track(visit, 'Product List Filtered', { category, filter, productCount: random.between(1, 24) }, 9)
  }
  const looks = Math.min(9, Math.round(random.exponential(1.9)))
  for (let position = 1; position <= looks; position++) {
    lookAt(visit, pickProduct(category, random), { list: 'category', position })
  }
}

export function search(visit: Visit): void {
  const { random, person } = visit
  const category = random.chance(0.7) ? person.favorite : random.pick(CATEGORY_NAMES)
  const wanted = pickProduct(category, random)
  const resultCount = random.chance(0.07) ? 0 : 1 + Math.floor(random.exponential(22))
  const query = random.chance(0.6) ? wanted.name.toLowerCase() : `${wanted.brand} ${wanted.category}`.toLowerCase()
  track(visit, 'Products Searched', { query, resultCount, suggested: random.chance(0.4) }, 7)
  if (resultCount === 0 || !random.chance(0.72)) return
  const position = 1 + Math.floor(random.exponential(2.5))
  track(visit, 'Search Result Clicked', { query, position, productId: wanted.sku }, 1)
  lookAt(visit, wanted, { list: 'search', position })
}

function lookAt(visit: Visit, product: Product, found: { list: string; position: number }): void {
  const { random, person } = visit
  const { sku: productId, category } = product
  viewPage(visit, `/p/${productId}`, product.name, 2)
  track(visit, 'Product Viewed', { ...productProperties(product), ...found, inStock: product.inStock }, 20)
  if (random.chance(0.17)) track(visit, 'Product Image Zoomed', { productId, image: random.between(1, 6) }, 5)
  if (random.chance(0.12))
    track(visit, 'Product Reviews Read', { productId, page: 1, rating: random.between(31, 50) / 10 }, 25)
  if (random.chance(0.04))
    track(visit, 'Product Compared', { productId, against: pickProduct(category, random).sku }, 18)
  if (random.chance(0.012))
    track(visit, 'Product Shared', { productId, via: random.pick(['link', 'mail', 'whatsapp']) }, 6)
  if (random.chance(0.035)) {
    person.wishlist++
    track(visit, 'Wishlist Product Added', { productId, wishlistSize: person.wishlist }, 4)
  }
  if (product.inStock) considerBuying(visit, product)
  else if (random.chance(0.12))
    track(visit, 'Stock Alert Requested', { productId, channel: random.pick(['mail', 'push']) }, 5)
}

function considerBuying(visit: Visit, product: Product): void {
  const { random } = visit
  // Dear things are put into the cart less readily than cheap ones.
  const ease = 0.085 * buyingOf(visit) * (product.priceCents < 5000 ? 1.25 : product.priceCents > 20_000 ? 0.5 : 1)
  if (!random.chance(Math.min(0.6, ease))) return
  const quantity = random.chance(0.82) ? 1 : random.between(2, 4)
  visit.cart.push({ product, quantity })
  const { sku: productId, name, category, brand, priceCents } = product
  track(visit, 'Product Added', { productId, name, category, brand, price: priceCents / 100, quantity }, 8)
}
