import cluster, { type Worker } from 'node:cluster'
import { randomUUID } from 'node:crypto'
import fp from 'fastify-plugin'
import { AggregatorRegistry } from 'prom-client'
import type { Metrics } from './metrics.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** The processes of one command, of which this is one. Alone, it answers for itself. */
    siblings: Siblings
  }
}

export interface Siblings {
  /** The metrics of all of them as one, in Prometheus text format. */
  metrics: () => Promise<string>
  /** Rejects while one of them has been missing for longer than a restart takes. A process that is alone has nobody to miss. */
  assertComplete?: () => Promise<void>
}

type MetricsJson = Awaited<ReturnType<Metrics['registry']['getMetricsAsJSON']>>

/** What travels between the processes. A question carries an id, and its answer the same one. */
export type SiblingMessage =
  | { kind: 'started' }
  | { kind: 'ask'; id: string; what: 'metrics' | 'missing' }
  | { kind: 'report'; id: string }
  | { kind: 'reported'; id: string; metrics: MetricsJson }
  | Answer

interface Answer {
  kind: 'answer'
  id: string
  metrics: MetricsJson[]
  missing: string[]
}

const ANSWER_TIMEOUT_MS = 1500

/** Tells the process that started this one that it serves. */
export function announceStart(): void {
  send(cluster.worker, { kind: 'started' })
}

/** Sends unless the other side is gone, which its end reports better than a message that does not arrive. */
export function send(worker: Worker | undefined, message: SiblingMessage): void {
  if (worker?.isConnected()) worker.send(message, ignoreLoss)
}

function ignoreLoss(): void {
  // Whoever waits for an answer has a time limit.
}

export default fp(
  async (app) => {
    const { registry } = app.metrics
    const { worker } = cluster
    if (!worker) {
      app.decorate('siblings', { metrics: () => registry.metrics() })
      return
    }
    const waiting = new Map<string, (answer: Answer) => void>()
    const listen = async (message: SiblingMessage) => {
      if (message.kind === 'answer') waiting.get(message.id)?.(message)
      if (message.kind === 'report')
        send(worker, { kind: 'reported', id: message.id, metrics: await registry.getMetricsAsJSON() })
    }
    worker.on('message', listen)
    app.addHook('onClose', () => void worker.off('message', listen))

    const ask = async (what: 'metrics' | 'missing'): Promise<Answer> => {
      const id = randomUUID()
      const answer = Promise.withResolvers<Answer>()
      const timer = setTimeout(() => answer.reject(new Error('the other processes do not answer')), ANSWER_TIMEOUT_MS)
      waiting.set(id, answer.resolve)
      send(worker, { kind: 'ask', id, what })
      return answer.promise.finally(() => {
        clearTimeout(timer)
        waiting.delete(id)
      })
    }
    app.decorate('siblings', {
      metrics: async () => AggregatorRegistry.aggregate((await ask('metrics')).metrics).metrics(),
      assertComplete: async () => {
        const { missing } = await ask('missing')
        if (missing.length > 0) throw new Error(`these processes do not come back: ${missing.join(', ')}`)
      },
    })
  },
  { name: 'siblings', dependencies: ['metrics'] },
)
