import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import Stripe from 'stripe'
import type { Test } from 'tap'
import { answerOf, readForm } from './stripe-routes.ts'
import { createStripeState, type StripeEvent, StripeFault } from './stripe-state.ts'

export const STRIPE_SECRET = 'whsec_test_secret_of_the_double'
const KEY = 'sk_test_doubledouble'

/**
 * What goes wrong with a request: it never arrives, it is done and its answer is lost, it is refused, or it takes its
 * time before (`delayMs`) or after (`lateMs`) it is done.
 */
export type StripeTrouble =
  | 'refused'
  | 'lost'
  | { status: number }
  | { delayMs: number }
  | { lateMs: number }
  | undefined

interface Answer {
  status: number
  body: string
}

const MEMORY_MS = 24 * 3_600_000

export type StripeDouble = Awaited<ReturnType<typeof startStripeDouble>>

/** Stripe's API on a port of its own, as far as we use it, with a memory. Whatever it is asked goes through `trouble` first. */
export async function startStripeDouble(t: Test, { livemode = false } = {}) {
  const state = createStripeState({ livemode })
  const knobs = {
    trouble: (_method: string, _path: string): StripeTrouble => undefined,
  }
  const requests: { method: string; path: string; form: Record<string, unknown>; idempotencyKey?: string }[] = []
  const remembered = new Map<string, { text: string; answer: Answer; atMs: number }>()

  const shapes = new Map<string, number>()
  if (process.env.STRIPE_MOCK_URL) t.teardown(() => t.comment([...shapes].map((shape) => shape.join(' ')).join(', ')))

  const server = createServer((request, response) => {
    answer(request, response).catch((error) => response.destroy(error))
  })

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    const { pathname, search } = new URL(request.url ?? '/', 'http://stripe')
    const method = request.method ?? 'GET'
    const text = method === 'GET' ? search.slice(1) : Buffer.concat(chunks).toString()
    const idempotencyKey = request.headers['idempotency-key'] as string | undefined
    requests.push({ method, path: pathname, form: readForm(text), ...(idempotencyKey && { idempotencyKey }) })
    await assertShape(request, `${pathname}${method === 'GET' ? search : ''}`, text)
    const trouble = knobs.trouble(method, pathname)
    if (trouble === 'refused') return void response.destroy()
    if (typeof trouble === 'object' && 'delayMs' in trouble)
      await new Promise((resolve) => setTimeout(resolve, trouble.delayMs))
    const isKnown = request.headers.authorization === `Bearer ${KEY}`
    const given = !isKnown
      ? faultOf(new StripeFault(401, 'Invalid API Key provided.'))
      : typeof trouble === 'object' && 'status' in trouble
        ? faultOf(new StripeFault(trouble.status, 'Something went wrong.'))
        : once(method, pathname, text, idempotencyKey)
    if (typeof trouble === 'object' && 'lateMs' in trouble)
      await new Promise((resolve) => setTimeout(resolve, trouble.lateMs))
    if (trouble === 'lost') return void response.destroy()
    response.writeHead(given.status, { 'content-type': 'application/json', 'request-id': 'req_double' })
    response.end(given.body)
  }

  /**
   * With STRIPE_MOCK_URL every request also goes to a stripe-mock, which knows all parameters and no state, and says whether Stripe would
   * take its shape. It is a check by hand, since stripe-mock has to be built.
   */
  async function assertShape({ method, headers }: IncomingMessage, url: string, text: string): Promise<void> {
    const mock = process.env.STRIPE_MOCK_URL
    if (!mock || !method) return
    const response = await fetch(new URL(url, mock), {
      method,
      headers: {
        authorization: 'Bearer sk_test_123',
        'content-type': 'application/x-www-form-urlencoded',
        'stripe-version': String(headers['stripe-version']),
      },
      ...(method !== 'GET' && { body: text }),
    })
    const shape = `${method} ${url.replace(/[a-z]+_(test_)?[0-9]+/, ':id').split('?')[0]}`
    shapes.set(shape, Math.max(shapes.get(shape) ?? 0, response.status))
    if (!response.ok) t.fail(`stripe-mock refuses ${shape}: ${await response.text()} ${text}`)
  }

  /** A key that was seen gives the first answer again; with other parameters it is refused. */
  function once(method: string, path: string, text: string, key: string | undefined): Answer {
    if (method === 'GET' || key === undefined) return work(method, path, text)
    const known = remembered.get(key)
    if (known && state.clock.seconds * 1000 - known.atMs < MEMORY_MS) {
      if (known.text === `${path} ${text}`) return known.answer
      return {
        status: 400,
        body: JSON.stringify({ error: { type: 'idempotency_error', message: 'Other parameters.' } }),
      }
    }
    const given = work(method, path, text)
    remembered.set(key, { text: `${path} ${text}`, answer: given, atMs: state.clock.seconds * 1000 })
    return given
  }

  function work(method: string, path: string, text: string): Answer {
    try {
      return { status: 200, body: JSON.stringify(answerOf(state, method, path, readForm(text))) }
    } catch (error) {
      if (error instanceof StripeFault) return faultOf(error)
      throw error
    }
  }

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => new Promise((resolve) => server.close(resolve).closeAllConnections()))
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    state,
    knobs,
    requests,
    base,
    environment: {
      METERHOUSE_STRIPE_SECRET_KEY: KEY,
      METERHOUSE_STRIPE_WEBHOOK_SECRETS: STRIPE_SECRET,
      METERHOUSE_STRIPE_API_BASE: base,
    },
    /** How often something was asked. */
    count: (method: string, path: string) =>
      requests.filter((one) => one.method === method && one.path === path).length,
  }
}

function faultOf({ status, message, code }: StripeFault): Answer {
  const type = status >= 500 ? 'api_error' : 'invalid_request_error'
  return { status, body: JSON.stringify({ error: { type, message, code } }) }
}

/** A delivery as Stripe makes it: the bytes and their signature. */
export function signedEvent(
  event: StripeEvent | Record<string, unknown>,
  { secret = STRIPE_SECRET, timestamp = Math.floor(Date.now() / 1000) } = {},
) {
  const payload = JSON.stringify(event)
  const signature = Stripe.webhooks.generateTestHeaderString({ payload, secret, timestamp })
  return {
    method: 'POST' as const,
    url: '/v1/stripe/webhook',
    headers: { 'content-type': 'application/json', 'stripe-signature': signature },
    payload,
  }
}

/** The same numbers for the same seed, between 0 and 1. */
export function randomOf(seed: number): () => number {
  let value = seed >>> 0
  return () => {
    value = (value + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(value ^ (value >>> 15), 1 | value)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

export function shuffled<T>(items: readonly T[], random: () => number): T[] {
  const all = [...items]
  for (let index = all.length - 1; index > 0; index--) {
    const other = Math.floor(random() * (index + 1))
    const kept = all[index] as T
    all[index] = all[other] as T
    all[other] = kept
  }
  return all
}
