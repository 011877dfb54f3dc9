import { hash } from 'node:crypto'

export type Canonical = string | number | boolean | null | readonly Canonical[] | { readonly [name: string]: Canonical }

/**
 * The one text of a value: names sorted by their code units, no white space. Numbers may only be small whole ones (positions, versions);
 * amounts and quantities are strings, so that no reader rounds them.
 */
export function canonicalText(value: Canonical): string {
  if (typeof value === 'number' && !Number.isSafeInteger(value))
    throw new RangeError('only whole numbers have one text')
  if (value === null || typeof value !== 'object') return JSON.stringify(value)
  if (isList(value)) return `[${value.map(canonicalText).join(',')}]`
  const pairs = Object.entries(value).toSorted(([one], [other]) => (one < other ? -1 : 1))
  return `{${pairs.map(([name, inner]) => `${JSON.stringify(name)}:${canonicalText(inner)}`).join(',')}}`
}

export const contentHashOf = (text: string): string => hash('sha256', text, 'hex')

const isList = (value: object): value is readonly Canonical[] => Array.isArray(value)
