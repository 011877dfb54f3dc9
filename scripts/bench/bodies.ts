import { gzipSync } from 'node:zlib'

export type Encoding = 'json' | 'gzip'

const NAMES = ['Product Viewed', 'Product Added', 'Checkout Started', 'Order Completed', 'Products Searched']
const CATEGORIES = ['shoes', 'coats', 'hats', 'bags']
const ID = '00000000-0000-4000-8000-000000000000'
const ID_BYTES = Buffer.from(ID)
const MINUTE_MS = 60_000

/** One event as a shop's browser SDK sends it, about 450 bytes of JSON. Its messageId is filled in for each send. */
function event(number: number, nowMs: number) {
  const category = CATEGORIES[number % CATEGORIES.length]
  return {
    event: NAMES[number % NAMES.length],
    messageId: ID,
    userId: `user-${(number * 7919) % 50_000}`,
    anonymousId: `5f0c9a1e-77b2-4d3c-9e21-${String(number % 1e6).padStart(12, '0')}`,
    timestamp: new Date(nowMs - (number % 50) * MINUTE_MS).toISOString(),
    properties: {
      productId: `sku-${number % 1000}`,
      name: `Summer ${category} no. ${number % 97}`,
      category,
      price: (number % 20_000) / 100,
      quantity: 1 + (number % 3),
      currency: 'EUR',
    },
    context: {
      locale: 'de-DE',
      page: { path: `/p/${number % 1000}`, title: 'Shop' },
      library: { name: 'bench', version: '1' },
    },
  }
}

/** A request body whose messageIds can be replaced in place. */
export interface Template {
  body: Buffer
  idPlaces: number[]
}

export function templateOf(eventsPerRequest: number, first: number, nowMs: number): Template {
  const events = Array.from({ length: eventsPerRequest }, (_, index) => event(first + index, nowMs))
  const body = Buffer.from(JSON.stringify(eventsPerRequest === 1 ? events[0] : { batch: events }))
  const idPlaces: number[] = []
  for (let at = body.indexOf(ID_BYTES); at !== -1; at = body.indexOf(ID_BYTES, at + 36)) idPlaces.push(at)
  return { body, idPlaces }
}

const HEX = Buffer.from('0123456789abcdef')
let state = (Date.now() ^ (process.pid << 16)) | 1

/** A 32-bit xorshift generator: ids must differ, and making them must not cost the generator what it is there to measure. */
function random32(): number {
  state ^= state << 13
  state ^= state >>> 17
  state ^= state << 5
  return state
}

const runDigits = Array.from({ length: 8 }, () => HEX[Math.floor(Math.random() * 16)] as number)
const DIGIT_PLACES = [9, 10, 11, 12, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35]

/** Writes a new UUID over each messageId: 32 random bits of the run, then 64 of the event. */
export function renewIds({ body, idPlaces }: Template): void {
  for (const place of idPlaces) {
    for (let index = 0; index < 8; index++) body[place + index] = runDigits[index] as number
    let bits = random32()
    for (let index = 0; index < 16; index++) {
      if (index === 8) bits = random32()
      body[place + (DIGIT_PLACES[index] as number)] = HEX[bits & 15] as number
      bits >>>= 4
    }
  }
}

/** Compressed bodies that all differ. Level 1, as clients compress. */
export function gzipPool(count: number, eventsPerRequest: number, nowMs: number): Buffer[] {
  const templates = Array.from({ length: 8 }, (_, index) =>
    templateOf(eventsPerRequest, index * eventsPerRequest, nowMs),
  )
  return Array.from({ length: count }, (_, index) => {
    const template = templates[index % templates.length] as Template
    renewIds(template)
    return gzipSync(template.body, { level: 1 })
  })
}
