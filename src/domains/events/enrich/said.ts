/** Reads what an event's context says, whatever it is: a value of another kind than expected says nothing. */
export type Context = Record<string, unknown>

export function isObject(value: unknown): value is Context {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The text under a name, or ''. */
export function textOf(value: unknown, name: string): string {
  const found = isObject(value) ? value[name] : undefined
  return typeof found === 'string' ? found : ''
}

/** Cuts text of a sender to a length that a column should hold, without leaving half a character. */
export function bounded(text: string, length: number): string {
  return text.length > length ? text.slice(0, length).toWellFormed() : text
}

/**
 * Libraries of native apps. Their requests come from the user's own device, with a user agent that names a program and not the device,
 * which they describe in the context.
 */
const NATIVE_LIBRARY = /(?:^|[^a-z])(?:ios|android|swift|kotlin|react-native|flutter|unity)(?:[^a-z]|$)/i

export function isFromNativeApp(context: Context): boolean {
  const library = textOf(context.library, 'name') || textOf(context, '$lib')
  return library !== '' && library.length <= 100 && NATIVE_LIBRARY.test(library)
}
