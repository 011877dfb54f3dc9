import { AuthorizationResponseError } from 'openid-client'
import { Problem } from '../../../errors.ts'
import { providerFailed, providerRefused } from '../errors.ts'

/**
 * Does something with a provider and says in our words how it failed. Of the cause only code and text go on: what the library attaches
 * to it may be an answer with tokens in it, and a cause is logged.
 */
export async function exchange<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof Problem) throw error
    if (error instanceof AuthorizationResponseError && error.error === 'access_denied') {
      throw providerRefused('It was not allowed to tell who you are.')
    }
    throw providerFailed('It did not answer, or not as agreed. Sign in again.', { cause: withoutDetails(error) })
  }
}

function withoutDetails(error: unknown): Error {
  if (!(error instanceof Error)) return new Error('unknown')
  const code = 'code' in error ? `${error.code}: ` : ''
  return new Error(`${code}${error.message}`)
}
