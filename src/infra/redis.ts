import fp from 'fastify-plugin'
import { Redis, type RedisOptions } from 'ioredis'

declare module 'fastify' {
  interface FastifyInstance {
    /** Rate limits and messages between processes: nothing that may not be lost. */
    redis: Redis
    /** The event buffer. An answer from it means that the write is on disk (appendfsync always). */
    ingestRedis: Redis
  }
}

const COMMAND_TIMEOUT_MS = 2000

/** ioredis options of a `redis://`, `rediss://` or `unix:///path/redis.sock?password=…` URL. */
export function redisOptions(url: string): RedisOptions {
  const { protocol, hostname, port, username, password, pathname, searchParams } = new URL(url)
  if (protocol === 'unix:')
    return { path: decodeURIComponent(pathname), password: searchParams.get('password') ?? undefined }
  return {
    host: hostname || '127.0.0.1',
    port: Number(port || 6379),
    username: decodeURIComponent(username) || undefined,
    password: decodeURIComponent(password) || undefined,
    db: Number(pathname.slice(1) || 0),
    ...(protocol === 'rediss:' ? { tls: {} } : {}),
  }
}

/**
 * A connection for request handlers: a command fails at once while Redis is away instead of queueing in memory, and is never
 * resent behind the caller's back, so that "no answer" stays visible as doubt.
 */
export function createRedis(url: string): Redis {
  return new Redis({
    ...redisOptions(url),
    enableOfflineQueue: false,
    commandTimeout: COMMAND_TIMEOUT_MS,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    retryStrategy: (attempt) => Math.min(50 * 2 ** attempt, 1000),
  })
}

/**
 * A connection of its own for commands that wait (XREAD BLOCK, SUBSCRIBE): no command timeout, otherwise as above. Nothing is queued
 * while it is away, because a queued command would outlive `disconnect()` and keep its caller waiting forever.
 */
export function createBlockingRedis(url: string): Redis {
  const connection = new Redis({
    ...redisOptions(url),
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    retryStrategy: (attempt) => Math.min(50 * 2 ** attempt, 1000),
  })
  connection.on('error', () => {
    // Whoever waits on it sees its own command fail, and the connection for short commands logs the outage.
  })
  return connection
}

export default fp(
  async (app, options: { url: string; ingestUrl: string }) => {
    for (const [name, url] of [
      ['redis', options.url],
      ['ingestRedis', options.ingestUrl],
    ] as const) {
      const connection = createRedis(url)
      // ioredis reports each failed reconnection; one line per outage is enough.
      let away = false
      connection.on('error', (error) => {
        if (!away) app.log.error({ err: error, connection: name }, 'Redis is not reachable')
        away = true
      })
      connection.on('ready', () => {
        if (away) app.log.info({ connection: name }, 'Redis is back')
        away = false
      })
      app.decorate(name, connection)
      // The first request must not find a connection that is merely young. One that fails is left to its retries.
      await new Promise<void>((resolve) => {
        connection.once('ready', resolve)
        connection.once('error', () => resolve())
      })
      app.addHook('onClose', () => connection.disconnect())
    }
  },
  { name: 'redis' },
)
