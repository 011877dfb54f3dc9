import type { FieldError } from '../../errors.ts'
import { type Pointer, parsePointer, put, take, valueAt } from './pointer.ts'
import type { Mapping, Violation } from './schemas.ts'

/** Repairs one event, which it does not change; violations say which step could not be done. */
export type Repair = (event: Record<string, unknown>) => { event: Record<string, unknown>; violations: Violation[] }

type Step = (event: Record<string, unknown>) => Violation | undefined
type CastTarget = NonNullable<Mapping['cast']>[string]

const STEPS_MAX = 100
const NUMBER = /^\s*-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?\s*$/

/**
 * Compiles a mapping. Its steps run in the order remove, rename, cast, set, whatever order they were written in. What a step is about
 * may be missing in an event, except that a value that is there must survive: a rename onto another value and a cast that would
 * lose something are violations. Faults of the mapping itself are added to `faults`.
 */
export function compileMapping(mapping: Mapping | undefined, path: string, faults: FieldError[]): Repair {
  const steps: Step[] = []
  const pointerOf = (text: string, at: string): Pointer | undefined => {
    const pointer = parsePointer(text)
    if (typeof pointer === 'string') faults.push({ path: at, message: pointer })
    // The identity of an event is what makes a replay safe to repeat.
    else if (pointer[0] === 'messageId') faults.push({ path: at, message: 'may not change the messageId' })
    else return pointer
    return undefined
  }
  mapping?.remove?.forEach((text, index) => {
    const pointer = pointerOf(text, `${path}/remove/${index}`)
    if (pointer) steps.push((event) => void take(event, pointer))
  })
  for (const [from, to] of Object.entries(mapping?.rename ?? {})) {
    const [source, target] = [pointerOf(from, at(path, 'rename', from)), pointerOf(to, at(path, 'rename', from))]
    if (source && target) steps.push(rename(source, target, to))
  }
  for (const [text, type] of Object.entries(mapping?.cast ?? {})) {
    const pointer = pointerOf(text, at(path, 'cast', text))
    if (pointer) steps.push(cast(pointer, type, text))
  }
  for (const [text, value] of Object.entries(mapping?.set ?? {})) {
    const pointer = pointerOf(text, at(path, 'set', text))
    if (pointer) steps.push(set(pointer, value, text))
  }
  if (steps.length > STEPS_MAX) faults.push({ path, message: `may have ${STEPS_MAX} steps` })

  return (original) => {
    const event = structuredClone(original)
    return { event, violations: steps.map((step) => step(event)).filter((violation) => violation !== undefined) }
  }
}

const at = (path: string, kind: string, key: string) =>
  `${path}/${kind}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`

function rename(source: Pointer, target: Pointer, to: string): Step {
  return (event) => {
    const found = valueAt(event, source)
    if (!found) return undefined
    if (valueAt(event, target)) return { path: to, keyword: 'rename', message: 'is there already' }
    take(event, source)
    if (put(event, target, found.value)) return undefined
    return { path: to, keyword: 'rename', message: 'leads through something that is no object' }
  }
}

function set(pointer: Pointer, value: unknown, path: string): Step {
  return (event) =>
    put(event, pointer, structuredClone(value))
      ? undefined
      : { path, keyword: 'set', message: 'leads through something that is no object' }
}

function cast(pointer: Pointer, type: CastTarget, path: string): Step {
  return (event) => {
    const found = valueAt(event, pointer)
    if (!found) return undefined
    const value = castValue(found.value, type)
    if (value === undefined) return { path, keyword: 'cast', message: `cannot be made a ${type} without loss` }
    put(event, pointer, value)
    return undefined
  }
}

/** undefined where the value is not plainly the same thing in another type. */
function castValue(value: unknown, type: CastTarget): unknown {
  if (typeof value === type) return value
  if (type === 'number') return typeof value === 'string' ? numberOf(value) : undefined
  if (type === 'string') return typeof value === 'number' || typeof value === 'boolean' ? String(value) : undefined
  if (value === 'true' || value === 1 || value === '1') return true
  return value === 'false' || value === 0 || value === '0' ? false : undefined
}

/** Digits beyond what a JSON number keeps would be lost, so such a text stays a text. */
function numberOf(text: string): number | undefined {
  const value = Number(text)
  const exact = Number.isSafeInteger(value) || !/^\s*-?\d+\s*$/.test(text)
  return NUMBER.test(text) && Number.isFinite(value) && exact ? value : undefined
}
