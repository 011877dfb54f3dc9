/** A JSON pointer (RFC 6901) into an event, as its decoded segments. */
export type Pointer = readonly string[]

const SEGMENTS_MAX = 32
const LENGTH_MAX = 500
/** Names that reach the prototype of every object instead of a field. */
const FORBIDDEN = new Set(['__proto__', 'constructor', 'prototype'])

/** The segments of a pointer to something inside of an event; a string says what is wrong with the text. */
export function parsePointer(text: string): Pointer | string {
  if (text.length > LENGTH_MAX) return `may have ${LENGTH_MAX} characters`
  if (!text.startsWith('/') || /~(?![01])/.test(text)) return 'must be a JSON pointer, like /properties/total'
  const segments = text
    .slice(1)
    .split('/')
    .map((segment) => segment.replaceAll('~1', '/').replaceAll('~0', '~'))
  if (segments.length > SEGMENTS_MAX) return `may have ${SEGMENTS_MAX} segments`
  const forbidden = segments.find((segment) => FORBIDDEN.has(segment))
  return forbidden === undefined ? segments : `names ${forbidden}, which no field may be called`
}

type Container = Record<string, unknown> | unknown[]

const isContainer = (value: unknown): value is Container => typeof value === 'object' && value !== null

function has(container: Container, key: string): boolean {
  if (!Array.isArray(container)) return Object.hasOwn(container, key)
  return /^(0|[1-9]\d*)$/.test(key) && Number(key) < container.length
}

const read = (container: Container, key: string): unknown => (container as Record<string, unknown>)[key]

/** The value at the pointer, boxed, because a value may be null; undefined where there is none. */
export function valueAt(root: Container, pointer: Pointer): { value: unknown } | undefined {
  let value: unknown = root
  for (const key of pointer) {
    if (!isContainer(value) || !has(value, key)) return undefined
    value = read(value, key)
  }
  return { value }
}

/** Puts a value at the pointer and makes the objects on the way. False where the way leads through something that is no object. */
export function put(root: Container, pointer: Pointer, value: unknown): boolean {
  const last = pointer.at(-1)
  if (last === undefined) return false
  let container: Container = root
  for (const key of pointer.slice(0, -1)) {
    if (!has(container, key)) {
      if (Array.isArray(container)) return false
      container[key] = {}
    }
    const next = read(container, key)
    if (!isContainer(next)) return false
    container = next
  }
  if (Array.isArray(container) && !has(container, last)) return false
  ;(container as Record<string, unknown>)[last] = value
  return true
}

/** Takes the value at the pointer out, and says whether there was one. */
export function take(root: Container, pointer: Pointer): { value: unknown } | undefined {
  const found = valueAt(root, pointer)
  const last = pointer.at(-1)
  if (!found || last === undefined) return undefined
  const container = valueAt(root, pointer.slice(0, -1))?.value as Container
  if (Array.isArray(container)) container.splice(Number(last), 1)
  else delete container[last]
  return found
}
