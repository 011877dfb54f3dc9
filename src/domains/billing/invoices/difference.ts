import type { Canonical } from './canonical.ts'

/** A place where two documents say different things, as a JSON pointer. */
export interface Difference {
  path: string
  stored: string
  computed: string
}

/** Everything in which a document differs from another, part by part. */
export function differencesOf(stored: unknown, computed: unknown, path = ''): Difference[] {
  if (isParent(stored) && isParent(computed) && Array.isArray(stored) === Array.isArray(computed)) {
    const names = new Set([...Object.keys(stored), ...Object.keys(computed)])
    return [...names].flatMap((name) =>
      differencesOf(stored[name], computed[name], `${path}/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`),
    )
  }
  return Object.is(stored, computed) ? [] : [{ path, stored: textOf(stored), computed: textOf(computed) }]
}

const isParent = (value: unknown): value is Record<string, Canonical> => typeof value === 'object' && value !== null

const textOf = (value: unknown): string => (value === undefined ? '(absent)' : JSON.stringify(value))
