/** A seeded source of chance: the same key gives the same numbers on every machine. */
export interface Random {
  /** Uniform in [0, 1). */
  next: () => number
  /** Uniform integer in [0, below). */
  below: (below: number) => number
  /** Uniform integer in [low, high]. */
  between: (low: number, high: number) => number
  chance: (probability: number) => boolean
  /** Exponentially distributed with the given mean: the time between independent happenings. */
  exponential: (mean: number) => number
  pick: <T>(items: readonly T[]) => T
  uuid: () => string
}

/** sfc32 (Chris Doty-Humphrey's Small Fast Counter, from PractRand), seeded with 128 bits hashed from the key. */
export function createRandom(key: string): Random {
  let [a, b, c, d] = hash128(key)
  const bits = () => {
    const t = (((a + b) | 0) + d) | 0
    d = (d + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = (c << 21) | (c >>> 11)
    c = (c + t) | 0
    return t
  }
  // The first outputs still resemble the key.
  for (let i = 0; i < 16; i++) bits()

  const next = () => (bits() >>> 0) / 4_294_967_296
  const below = (limit: number) => Math.floor(next() * limit)
  return {
    next,
    below,
    between: (low, high) => low + below(high - low + 1),
    chance: (probability) => next() < probability,
    exponential: (mean) => -Math.log(1 - next()) * mean,
    pick: (items) => itemAt(items, below(items.length)),
    uuid: () => uuidFrom(bits(), bits(), bits(), bits()),
  }
}

export interface Weighted<T> {
  items: readonly T[]
  /** Running sums of the weights; the last one is the whole. */
  cumulative: readonly number[]
}

export function weighted<T>(items: readonly T[], weightOf: (item: T) => number): Weighted<T> {
  let sum = 0
  return { items, cumulative: items.map((item) => (sum += weightOf(item))) }
}

/** Linear scan: the lists are short and the heavy items come first. */
export function pickWeighted<T>({ items, cumulative }: Weighted<T>, random: Random): T {
  const target = random.next() * (cumulative[cumulative.length - 1] ?? 0)
  let i = 0
  while (i < items.length - 1 && (cumulative[i] ?? 0) <= target) i++
  return itemAt(items, i)
}

export function itemAt<T>(items: ArrayLike<T>, index: number): T {
  const item = items[index]
  if (item === undefined) throw new RangeError(`No item ${index} in a list of ${items.length}`)
  return item
}

/** Four 32-bit FNV-1a hashes with different offsets, each finished with Murmur3's mixer. */
function hash128(key: string): [number, number, number, number] {
  const hash = (offset: number) => {
    let h = offset
    for (let i = 0; i < key.length; i++) h = Math.imul(h ^ key.charCodeAt(i), 0x01000193)
    h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
    h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
    return h ^ (h >>> 16)
  }
  return [hash(0x811c9dc5), hash(0x9e3779b9), hash(0x7f4a7c15), hash(0x2545f491)]
}

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))

/** A version 4 UUID (RFC 9562) out of 128 given bits. */
function uuidFrom(a: number, b: number, c: number, d: number): string {
  const v = (b & 0xffff0fff) | 0x4000
  const r = (c & 0x3fffffff) | 0x80000000
  return (
    `${HEX[a >>> 24]}${HEX[(a >>> 16) & 255]}${HEX[(a >>> 8) & 255]}${HEX[a & 255]}-` +
    `${HEX[v >>> 24]}${HEX[(v >>> 16) & 255]}-${HEX[(v >>> 8) & 255]}${HEX[v & 255]}-` +
    `${HEX[r >>> 24]}${HEX[(r >>> 16) & 255]}-${HEX[(r >>> 8) & 255]}${HEX[r & 255]}` +
    `${HEX[d >>> 24]}${HEX[(d >>> 16) & 255]}${HEX[(d >>> 8) & 255]}${HEX[d & 255]}`
  )
}
