import { DrizzleQueryError } from 'drizzle-orm'

const CAUSES_MAX = 5

/** What of an error is written down. */
export interface Fault {
  type: string
  message: string
  /** Where it was thrown, without the message that the engine puts before it. */
  stack: string
  code?: string
  cause?: Fault
}

/**
 * An error as it may be written down: its kind, what it says and where, and the same of its causes. All other fields are left out, as
 * libraries put there what they were working on. A failed query says its text and never the values that it was sent with.
 */
export function describeFault(error: unknown, causesMax = CAUSES_MAX): Fault {
  if (!(error instanceof Error)) return { type: typeof error, message: String(error), stack: '' }
  const cause = error.cause instanceof Error && causesMax > 0 ? describeFault(error.cause, causesMax - 1) : undefined
  return {
    type: error.name === 'Error' ? error.constructor.name : error.name,
    message: error instanceof DrizzleQueryError ? `Failed query: ${error.query}` : error.message,
    stack: framesOf(error),
    ...('code' in error && { code: String(error.code) }),
    ...(cause && { cause }),
  }
}

/** The same as an error, for those who write errors down themselves. */
export function presentable(error: unknown): Error {
  const { message, stack, cause } = describeFault(error)
  const shown = new Error(cause ? `${message}: ${cause.message}` : message)
  shown.stack = stack
  return shown
}

const framesOf = ({ stack = '' }: Error): string =>
  stack
    .split('\n')
    .filter((line) => /^ +at /.test(line))
    .join('\n')
