/** Names of what may never be written down, however it came into what a service describes. */
const SECRET_NAMES = /^(key|hash|secret|token|password)$|(Hash|Secret|Token|Password)$/

/**
 * What a change was, in the form that it comes back in from the database, so that its hash can be made of it before it is stored: no
 * absent fields, and none of the characters that jsonb refuses. Values under the name of a secret are left out.
 */
export function storable(details: Record<string, unknown> | undefined): Record<string, unknown> | null {
  if (details === undefined) return null
  const text = JSON.stringify(details, (name, value) => {
    if (SECRET_NAMES.test(name)) return undefined
    return typeof value === 'string' ? storableText(value) : value
  })
  return JSON.parse(text)
}

/** A text that Postgres stores as it is: it knows neither U+0000 nor half of a surrogate pair. */
export const storableText = (text: string): string => text.toWellFormed().replaceAll('\0', '\uFFFD')
