import fp from 'fastify-plugin'
import { createOutboxRelay, type Fact } from './outbox.ts'
import { createBlockingRedis } from './redis.ts'

const CHANNEL = 'facts'

declare module 'fastify' {
  interface FastifyInstance {
    /** Hears the facts of the outbox, from whichever process published them: at least once, unless Redis is away just then. */
    facts: {
      on: (kind: string, listener: (fact: Fact) => void) => void
      /**
       * Is given each fact of a kind, once or more, before it counts as published, in the process that publishes it: one of the role
       * jobs. When it rejects, the fact and all after it are published again.
       */
      carry: (kind: string, carrier: (fact: Fact) => Promise<void>) => void
    }
  }
}

interface FactsOptions {
  redisUrl: string
  /** Whether this process moves facts from the outbox to Redis. */
  relays: boolean
}

/** Carries facts from the outbox to every process. A listener that must not miss one bounds its ignorance by time as well. */
export default fp(
  async (app, { redisUrl, relays }: FactsOptions) => {
    const listeners = new Map<string, ((fact: Fact) => void)[]>()
    const carriers = new Map<string, (fact: Fact) => Promise<void>>()
    app.decorate('facts', {
      on: (kind, listener) => void listeners.set(kind, [...(listeners.get(kind) ?? []), listener]),
      carry: (kind, carrier) => void carriers.set(kind, carrier),
    })

    const subscriber = createBlockingRedis(redisUrl)
    subscriber.on('message', (_channel, message) => {
      const fact = JSON.parse(message) as Fact
      for (const listener of listeners.get(fact.kind) ?? []) listener(fact)
    })
    subscriber.on('ready', () => {
      subscriber.subscribe(CHANNEL).catch((error) => app.log.error({ err: error }, 'facts cannot be heard'))
    })
    app.addHook('onClose', () => subscriber.disconnect())

    if (!relays) return
    const relay = createOutboxRelay({
      postgres: app.postgres,
      publish: async (fact) => {
        await carriers.get(fact.kind)?.(fact)
        await app.redis.publish(CHANNEL, JSON.stringify(fact))
      },
      log: app.log,
    })
    app.addHook('onReady', async () => relay.start())
    app.addHook('preClose', () => relay.stop())
  },
  { name: 'facts', dependencies: ['postgres', 'redis'] },
)
