// The jobs behind Stripe in a process of their own, to be killed: reads the configuration, works until it dies.
import fastify from 'fastify'
import { loadConfig } from '../../src/config.ts'
import { stripeJobs } from '../../src/domains/billing/index.ts'
import metrics from '../../src/infra/metrics.ts'
import postgres from '../../src/infra/postgres.ts'
import redis from '../../src/infra/redis.ts'
import { recordEntitlements } from './stripe-entitlements.ts'

const config = loadConfig()
if (!config.stripe) throw new Error('Stripe is not configured')
const app = fastify()
await app.register(metrics)
await app.register(postgres, config.postgres)
await app.register(redis, config.redis)
await app.register(stripeJobs, { account: config.stripe, ports: recordEntitlements })
await app.ready()
process.send?.('ready')
