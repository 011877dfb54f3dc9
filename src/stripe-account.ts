import { type Static, Type } from '@sinclair/typebox'

/** The variables that name the Stripe account which collects. */
export const STRIPE_VARIABLES = {
  METERHOUSE_STRIPE_SECRET_KEY: Type.Optional(
    Type.String({
      pattern: '^[sr]k_(test|live)_[0-9a-zA-Z]{10,}$',
      description: 'Secret or restricted key of the Stripe account that collects. Without it nothing asks Stripe.',
    }),
  ),
  METERHOUSE_STRIPE_WEBHOOK_SECRETS: Type.String({
    default: '',
    pattern: '^(whsec_[^,]{16,}(,(?!$)|$))*$',
    description:
      'Signing secrets of the webhook endpoint /v1/stripe/webhook, comma-separated: two while they are rotated.',
  }),
  METERHOUSE_STRIPE_API_BASE: Type.String({
    default: 'https://api.stripe.com',
    pattern: '^https?://',
    description: 'Where the API of Stripe is; http:// on this very machine only.',
  }),
}
const Variables = Type.Object(STRIPE_VARIABLES)

export type StripeAccount = NonNullable<ReturnType<typeof readStripeAccount>>

const LOOPBACK = new Set(['localhost', '127.0.0.1', '[::1]'])

/**
 * The account, or nothing where no key is named. A key without a webhook would sell and never hear that somebody has paid, so both are
 * there or none is. No fault repeats a value: some are secrets.
 */
export function readStripeAccount(variables: Static<typeof Variables>, fault: (text: string) => void) {
  const { METERHOUSE_STRIPE_SECRET_KEY: secretKey, METERHOUSE_STRIPE_API_BASE: base } = variables
  const webhookSecrets = variables.METERHOUSE_STRIPE_WEBHOOK_SECRETS.split(',').filter((secret) => secret !== '')
  if (secretKey !== undefined && webhookSecrets.length === 0)
    fault('METERHOUSE_STRIPE_WEBHOOK_SECRETS is required with METERHOUSE_STRIPE_SECRET_KEY')
  if (secretKey === undefined && webhookSecrets.length > 0)
    fault('METERHOUSE_STRIPE_SECRET_KEY is required with METERHOUSE_STRIPE_WEBHOOK_SECRETS')
  const api = readApi(base)
  if (!api)
    fault('METERHOUSE_STRIPE_API_BASE must be a URL that starts with https://, or with http:// on this very machine')
  if (secretKey === undefined || !api) return undefined
  /** Whose money it is: events of the other mode are refused. */
  const livemode = secretKey.includes('k_live_')
  return { secretKey, webhookSecrets, livemode, api }
}

function readApi(text: string) {
  if (!URL.canParse(text)) return undefined
  const { protocol, hostname: host, port } = new URL(text)
  if (protocol === 'https:') return { protocol: 'https' as const, host, port: Number(port) || 443 }
  if (protocol !== 'http:' || !LOOPBACK.has(host)) return undefined
  return { protocol: 'http' as const, host, port: Number(port) || 80 }
}
