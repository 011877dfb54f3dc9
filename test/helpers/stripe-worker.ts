// The jobs behind Stripe in a process of their own, to be killed: reads the configuration, works until it dies.
import { buildApp } from '../../src/app.ts'
import { loadConfig } from '../../src/config.ts'
import { stripeJobs } from '../../src/domains/billing/index.ts'
import { recordEntitlements } from './stripe-entitlements.ts'

const config = loadConfig()
if (!config.stripe) throw new Error('Stripe is not configured')
const app = await buildApp({ ...config, roles: [] }, false)
await app.register(stripeJobs, { account: config.stripe, ports: recordEntitlements })
await app.ready()
process.send?.('ready')
