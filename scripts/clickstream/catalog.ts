import { createRandom, itemAt, type Random } from './random.ts'

export interface Product {
  sku: string
  name: string
  category: string
  brand: string
  priceCents: number
  inStock: boolean
  /** Names differ from category to category: together they are the long tail of property names. */
  attributes: Record<string, string | number | boolean>
}

/** Category, typical price in cents, nouns, and its own attributes with their values. */
type Category = [string, number, string[], Record<string, (string | number | boolean)[]>]
const CATEGORIES: Category[] = [
  [
    'lighting',
    6900,
    ['Desk Lamp', 'Floor Lamp', 'Pendant'],
    {
      lumens: [400, 800, 1200],
      dimmable: [true, false],
      socket: ['E27', 'E14', 'GU10'],
      lightColor: ['warm', 'neutral', 'cold'],
    },
  ],
  [
    'kitchen',
    4200,
    ['Chef Knife', 'Pan', 'Carafe', 'Kettle'],
    {
      dishwasherSafe: [true, false],
      capacityLiters: [0.5, 1, 1.7],
      material: ['steel', 'cast iron', 'glass'],
      induction: [true, false],
    },
  ],
  [
    'textiles',
    5400,
    ['Throw', 'Rug', 'Cushion', 'Duvet'],
    {
      fabric: ['wool', 'linen', 'cotton'],
      washTemperature: [30, 40, 60],
      weave: ['flat', 'knot', 'twill'],
      pileMillimeters: [4, 9, 14],
    },
  ],
  [
    'furniture',
    28_900,
    ['Shelf', 'Chair', 'Side Table'],
    {
      wood: ['oak', 'ash', 'walnut'],
      loadKilograms: [40, 80, 120],
      selfAssembly: [true, false],
      finish: ['oil', 'lacquer', 'raw'],
    },
  ],
  [
    'bikes',
    11_900,
    ['Front Light', 'Pannier', 'Lock', 'Helmet'],
    {
      mount: ['clamp', 'rack', 'strap'],
      ipRating: ['IPX4', 'IP65', 'IP67'],
      lockLevel: [6, 9, 12],
      reflective: [true, false],
    },
  ],
  [
    'outdoor',
    9400,
    ['Tent', 'Stove', 'Headlamp', 'Backpack'],
    {
      seasons: [2, 3, 4],
      packVolumeLiters: [18, 28, 45],
      waterColumn: [2000, 3000, 5000],
      fuel: ['gas', 'alcohol', 'wood'],
    },
  ],
  [
    'audio',
    14_900,
    ['Speaker', 'Headphones', 'Turntable'],
    {
      codec: ['aac', 'aptx', 'ldac'],
      batteryHours: [12, 24, 40],
      wireless: [true, false],
      driverMillimeters: [10, 40, 50],
    },
  ],
  [
    'office',
    3900,
    ['Notebook', 'Pen', 'Organizer', 'Monitor Stand'],
    { ruling: ['dot', 'line', 'blank'], paperGrams: [80, 100, 120], refillable: [true, false], pages: [96, 160, 240] },
  ],
  [
    'garden',
    3600,
    ['Planter', 'Secateurs', 'Watering Can'],
    {
      frostProof: [true, false],
      diameterCentimeters: [12, 24, 40],
      soil: ['loam', 'sand', 'peat free'],
      sun: ['full', 'half', 'shade'],
    },
  ],
  [
    'kids',
    3100,
    ['Puzzle', 'Night Light', 'Balance Bike'],
    { ageFrom: [0, 2, 4, 6], pieces: [24, 48, 100], batteryIncluded: [true, false], safetyMark: ['CE', 'GS'] },
  ],
  [
    'coffee',
    7900,
    ['Grinder', 'Dripper', 'Espresso Machine'],
    { burr: ['steel', 'ceramic'], pressureBar: [9, 15], cups: [1, 2, 4, 8], filterSize: ['01', '02'] },
  ],
  [
    'gifts',
    2500,
    ['Gift Card', 'Candle', 'Print'],
    { burnHours: [20, 45, 60], scent: ['cedar', 'fig', 'none'], framed: [true, false], giftWrap: [true, false] },
  ],
]
const BRANDS = ['Nordlicht', 'Halde', 'Ost & Wald', 'Fjell', 'Kanto', 'Rue Neuf', 'Bramble', 'Tern', 'Ploy', 'Grid']
const ADJECTIVES = ['Plain', 'Tall', 'Quiet', 'Folding', 'Mini', 'Round', 'Solid', 'Bright', 'Soft', 'Travel']
const PRODUCTS_PER_CATEGORY = 100

export const CATEGORY_NAMES: readonly string[] = CATEGORIES.map(([name]) => name)

/** The same shop for every seed: what differs from stream to stream is what people do in it. */
export const PRODUCTS: ReadonlyMap<string, readonly Product[]> = stockShelves()

/** Some products are everybody's darlings: the first tenth of a shelf gets about a third of the looks. */
export function pickProduct(category: string, random: Random): Product {
  const shelf = PRODUCTS.get(category) ?? []
  return itemAt(shelf, Math.floor(shelf.length * random.next() ** 2.2))
}

/** The product as an event describes it. */
export function productProperties(product: Product) {
  const { sku, name, category, brand, priceCents, attributes } = product
  return { productId: sku, name, category, brand, price: priceCents / 100, ...attributes }
}

function stockShelves(): Map<string, Product[]> {
  const random = createRandom('catalog')
  const shelves = new Map<string, Product[]>()
  for (const [index, [category, typicalCents, nouns, attributes]] of CATEGORIES.entries()) {
    const shelf = Array.from({ length: PRODUCTS_PER_CATEGORY }, (_, number): Product => {
      const noun = random.pick(nouns)
      // Whole units and ninety hundredths, spread over about a fifth to three times of what is typical.
      const priceCents = Math.max(4, Math.round((typicalCents * (0.2 + random.exponential(0.7))) / 100)) * 100 - 10
      return {
        sku: `SKU-${index + 1}${String(number).padStart(3, '0')}`,
        name: `${random.pick(ADJECTIVES)} ${noun}`,
        category,
        brand: random.pick(BRANDS),
        priceCents,
        inStock: random.chance(0.94),
        attributes: pickAttributes(attributes, random),
      }
    })
    shelves.set(category, shelf)
  }
  return shelves
}

function pickAttributes(known: Category[3], random: Random): Product['attributes'] {
  const attributes: Product['attributes'] = {}
  for (const [name, values] of Object.entries(known)) if (random.chance(0.7)) attributes[name] = random.pick(values)
  return attributes
}
