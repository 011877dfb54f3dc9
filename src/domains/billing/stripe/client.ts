import Stripe from 'stripe'
import type { StripeAccount } from '../../../config.ts'
import { stripeRefused, stripeUnavailable } from './errors.ts'

const TIMEOUT_MS = 20_000
const RETRIES_MAX = 2

/** The API of Stripe, in the version that the library's types describe. */
export function createStripeClient({ secretKey, api }: StripeAccount): Stripe {
  return new Stripe(secretKey, {
    ...api,
    timeout: TIMEOUT_MS,
    maxNetworkRetries: RETRIES_MAX,
    telemetry: false,
  })
}

const RETRIABLE_STATUS = 500
const TOO_MANY = 429

/** Whether Stripe is away, busy or broken, which passes; everything else is about the request and does not. */
export function isOutage(error: unknown): boolean {
  if (!(error instanceof Stripe.errors.StripeError)) return false
  if (error instanceof Stripe.errors.StripeConnectionError) return true
  return error.statusCode === TOO_MANY || (error.statusCode ?? 0) >= RETRIABLE_STATUS
}

/** Whether Stripe has answered at all: only then is the outcome known. */
export const wasAnswered = (error: unknown): boolean =>
  error instanceof Stripe.errors.StripeError && !(error instanceof Stripe.errors.StripeConnectionError)

/** What may be logged and stored of a failure. The error itself holds headers and a part of the key. */
export function failureOf(error: unknown): string {
  if (!(error instanceof Stripe.errors.StripeError)) return error instanceof Error ? error.name : 'unknown'
  return ['stripe', error.statusCode, error.code ?? error.type].filter(Boolean).join(' ')
}

/** Asks Stripe something on behalf of a caller, who learns that it did not work and not why. */
export async function asking<T>(question: () => Promise<T>): Promise<T> {
  try {
    return await question()
  } catch (error) {
    if (!(error instanceof Stripe.errors.StripeError)) throw error
    const cause = new Error(failureOf(error))
    if (isOutage(error)) throw stripeUnavailable('Stripe does not answer. Try again in a moment.', { cause })
    throw stripeRefused('Stripe did not take the request.', { cause })
  }
}
