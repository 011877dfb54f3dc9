import { providerFailed, providerRefused } from '../errors.ts'

/** What a provider says about the person who comes from it. */
export interface ProvidedPerson {
  /** Its own id of the person. */
  subject: string
  /** An address that it has confirmed to be theirs. */
  email: string
  name: string
}

/** What a flow keeps to itself until the person is back. */
export interface FlowSecrets {
  state: string
  nonce: string
  verifier: string
}

/** One way to send a person to a provider and to learn who came back. */
export interface ProviderProtocol {
  authorizationUrl: (secrets: FlowSecrets) => Promise<URL>
  /** Redeems the answer in the URL that the person came back to. Throws 502 for one that does not hold, and 403 for a no. */
  personOf: (cameBackTo: URL, secrets: FlowSecrets) => Promise<ProvidedPerson>
}

interface Said {
  subject: unknown
  email: unknown
  emailVerified: unknown
  name: unknown
}

const SUBJECT = /^[\x21-\x7e]{1,255}$/
const EMAIL = /^[^\s@\p{Cc}]+@[^\s@\p{Cc}]+$/u
const EMAIL_MAX = 254
const NAME_MAX = 100

/** Takes nothing on trust: texts are read within bounds, and an address counts only when the provider says that it confirmed it. */
export function readPerson({ subject, email, emailVerified, name }: Said): ProvidedPerson {
  if (typeof subject !== 'string' || !SUBJECT.test(subject)) throw providerFailed('It does not say who you are.')
  if (typeof email !== 'string' || email.length > EMAIL_MAX || !EMAIL.test(email) || emailVerified !== true) {
    throw providerRefused('It has no confirmed email address of yours. Confirm it there, and sign in again.')
  }
  const called =
    typeof name === 'string'
      ? name
          .replace(/\p{Cc}/gu, ' ')
          .trim()
          .slice(0, NAME_MAX)
      : ''
  return { subject, email, name: called || email.slice(0, NAME_MAX) }
}
