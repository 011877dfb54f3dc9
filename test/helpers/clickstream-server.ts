import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { gunzipSync } from 'node:zlib'
import type { Test } from 'tap'
import { type ClickstreamEvent, distinctIdOf } from '../../scripts/clickstream/event.ts'
import type { TrendAnswer, TrendQuery } from '../../scripts/clickstream/query-client.ts'

export const KEYS = { writeKey: 'mh_write_fake', apiKey: 'mh_live_fake', projectId: 'prj_00000000000000000000000000' }

/** How the server meets one request to the ingestion route before it behaves again. */
export type Fault =
  | { status: number; headers?: Record<string, string>; body?: string; delayMs?: number }
  | 'reset'
  | 'store, then reset'
  | 'store, then half an answer'

/** The two routes that the loader uses, in memory and as naive as can be: the other opinion that its figures are held against. */
export async function startClickstreamServer(t: Test) {
  const state = {
    stored: [] as ClickstreamEvent[],
    faults: [] as Fault[],
    refuse: (_event: ClickstreamEvent) => false,
    completeThroughMs: Number.POSITIVE_INFINITY,
    arrivals: [] as { atMs: number; ids: string[]; headers: string }[],
    mostAtOnce: 0,
  }
  let atOnce = 0
  const server = createServer(async (request, response) => {
    const body = await read(request)
    if (request.url !== '/v1/events') return answer(response, 200, trend(JSON.parse(body.toString()), state))
    atOnce++
    state.mostAtOnce = Math.max(state.mostAtOnce, atOnce)
    await ingest(state, request, response, gunzipSync(body).toString())
    atOnce--
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return { ...KEYS, state, url, ingest: { url, key: KEYS.writeKey } }
}

type State = Awaited<ReturnType<typeof startClickstreamServer>>['state']

/** An event as it comes out of JSON: without the fields that are undefined. */
export function wire(event: ClickstreamEvent): ClickstreamEvent {
  return JSON.parse(JSON.stringify(event)) as ClickstreamEvent
}

/** Runs the loader as the command line does; resolves when it has ended. */
export async function runLoader(dataDirectory: string, options: string[]): Promise<{ code: number; text: string }> {
  const child = spawn(process.execPath, ['scripts/clickstream/load.ts', ...options], {
    env: { ...process.env, METERHOUSE_DATA: dataDirectory },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let text = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
  const [code] = (await once(child, 'close')) as [number]
  return { code, text }
}

async function ingest(state: State, request: IncomingMessage, response: ServerResponse, text: string): Promise<void> {
  const events = text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as ClickstreamEvent)
  const { authorization, 'content-type': type, 'content-encoding': encoding } = request.headers
  const ids = events.map(({ messageId }) => messageId)
  state.arrivals.push({ atMs: Date.now(), ids, headers: `${authorization} ${type} ${encoding}` })
  const fault = state.faults.shift()
  if (typeof fault === 'object') {
    await sleep(fault.delayMs ?? 0)
    response.writeHead(fault.status, fault.headers).end(fault.body ?? '{}')
    return
  }
  if (fault === 'reset') return void request.socket.resetAndDestroy()
  const verdicts = store(state, events)
  if (fault === 'store, then reset') return void request.socket.resetAndDestroy()
  if (fault === 'store, then half an answer') {
    response.writeHead(202, { 'content-length': '1000' }).write('{"accepted":')
    await sleep(20)
    return void request.socket.resetAndDestroy()
  }
  answer(response, 202, verdicts)
}

function store(state: State, events: ClickstreamEvent[]) {
  const known = new Set(state.stored.map(({ messageId }) => messageId))
  const fresh = events.filter(({ messageId }) => !known.has(messageId))
  const rejected = fresh.filter(state.refuse)
  const accepted = fresh.filter((event) => !rejected.includes(event))
  state.stored.push(...accepted)
  const results = rejected.map(({ messageId }, index) => {
    return { index, messageId, status: 'rejected', code: 'events.invalid', message: 'not today' }
  })
  return { accepted: accepted.length, duplicates: events.length - fresh.length, rejected: rejected.length, results }
}

function trend(query: TrendQuery, { stored, completeThroughMs }: State): TrendAnswer {
  const { event: name, math, property = '', filters = [] } = query.series[0] ?? { math: 'count' }
  const rows = stored.filter((event) => {
    const isAsked = event.timestamp >= query.from && event.timestamp < query.to && (!name || event.event === name)
    return isAsked && filters.every(({ field, value }) => at(event, field) === value)
  })
  const measure = (events: ClickstreamEvent[]) => {
    if (math === 'count') return events.length
    if (math === 'uniqueUsers') return new Set(events.map(distinctIdOf)).size
    return events.reduce((sum, event) => sum + Number(at(event, `properties.${property}`)), 0)
  }
  const [field] = query.breakdown ?? []
  const bucket = query.interval === 'day' ? 10 : 7
  const completeThrough = new Date(Math.min(completeThroughMs, Date.now() + 5000)).toISOString()
  const groups = field ? Map.groupBy(rows, (event) => at(event, field) as string) : new Map([['', rows]])
  return {
    data: [...groups].map(([value, events]) => ({
      series: 0,
      breakdown: field ? { [field]: value } : null,
      total: measure(events),
      points: [...Map.groupBy(events, ({ timestamp }) => timestamp.slice(0, bucket))].map(([time, inBucket]) => {
        return { time: new Date(time).toISOString(), value: measure(inBucket) }
      }),
    })),
    meta: { elapsedMs: 1, rowsRead: stored.length, cached: false, completeThrough },
  }
}

function at(event: ClickstreamEvent, path: string): unknown {
  return path.split('.').reduce<unknown>((value, name) => (value as Record<string, unknown> | undefined)?.[name], event)
}

function answer(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}

async function read(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}
