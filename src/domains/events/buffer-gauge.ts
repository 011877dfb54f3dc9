import type { FastifyBaseLogger } from 'fastify'
import type { Redis } from 'ioredis'
import type { Lane } from './buffer.ts'

/** What is known about the buffer. Until the first answer nothing is, and nothing is held against it. */
export interface BufferState {
  /** Whether Redis answered the latest question. */
  answers: boolean
  /** Share of its memory that is in use; undefined when it has no limit. */
  memoryShare: number | undefined
  /** Age of the oldest entry that is not stored yet, over all streams. */
  lagMs: number
  /** The same lane by lane. */
  laneLagsMs: Map<Lane, number>
  /** When the streams will be stored to their ends at the present pace; Infinity while the lag does not shrink. */
  drainMs: number
}

interface StreamKeys {
  lane: Lane
  stream: string
  cursor: string
}

interface BufferGaugeOptions {
  redis: Redis
  streams: StreamKeys[]
  /** Memory that may be used, beside the maxmemory of Redis; 0 when only that counts. */
  bytesMax: number
  log: FastifyBaseLogger
  onSample: (state: BufferState) => void
}

const SAMPLE_INTERVAL_MS = 250
/** The lag is read with every so many samples of the memory. */
const SAMPLES_PER_LAG = 4
const PACE_WEIGHT = 0.3

/**
 * The oldest entry after the cursor, by id only: its content may be ten megabytes. While the cursor has not moved the oldest entry
 * is the same one, and is not read again.
 */
const OLDEST = `
local cursor = redis.call('GET', KEYS[2]) or '-'
local time = redis.call('TIME')
local nowMs = time[1] * 1000 + math.floor(time[2] / 1000)
if cursor == ARGV[1] and ARGV[2] ~= '' then return { cursor, ARGV[2], nowMs } end
local from = '-'
if cursor ~= '-' then from = '(' .. cursor end
local page = redis.call('XRANGE', KEYS[1], from, '+', 'COUNT', 1)
return { cursor, page[1] and page[1][1] or '', nowMs }`

/** Samples how full the buffer is and how far behind its sinks are. It never throws: a Redis that is away is a state like others. */
export function createBufferGauge({ redis, streams, bytesMax, log, onSample }: BufferGaugeOptions) {
  const state: BufferState = { answers: true, memoryShare: undefined, lagMs: 0, laneLagsMs: new Map(), drainMs: 0 }
  const lags = streams.map((keys) => createLag(redis, keys))
  let timer: NodeJS.Timeout | undefined
  let stopped = false
  let samples = 0

  async function sample(): Promise<void> {
    try {
      state.memoryShare = memoryShare(await redis.info('memory'), bytesMax)
      if (samples++ % SAMPLES_PER_LAG === 0) {
        const known = await Promise.all(lags.map((lag) => lag()))
        state.laneLagsMs.clear()
        for (const [index, { lane }] of streams.entries())
          state.laneLagsMs.set(lane, Math.max(state.laneLagsMs.get(lane) ?? 0, known[index]?.lagMs ?? 0))
        state.lagMs = Math.max(0, ...state.laneLagsMs.values())
        state.drainMs = Math.max(0, ...known.map(({ drainMs }) => drainMs))
      }
      state.answers = true
    } catch (error) {
      if (state.answers && !stopped) log.warn({ err: error }, 'the event buffer does not say how full it is')
      // One that answers with a refusal does answer, unless it says that it is still reading its file.
      state.answers = isRefusal(error)
    }
    if (stopped) return
    onSample(state)
    timer = setTimeout(() => void sample(), SAMPLE_INTERVAL_MS)
  }

  return {
    state: state as Readonly<BufferState>,
    start: () => void sample(),
    stop() {
      stopped = true
      clearTimeout(timer)
    },
  }
}
export type BufferGauge = ReturnType<typeof createBufferGauge>

const isRefusal = (error: unknown) =>
  error instanceof Error && error.name === 'ReplyError' && !/^(LOADING|MASTERDOWN)/.test(error.message)

/** As Redis itself counts when it decides whether a command is refused. */
export function memoryShare(info: string, bytesMax: number): number | undefined {
  const field = (name: string) => Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(info)?.[1] ?? 0)
  const limits = [field('maxmemory'), bytesMax].filter((limit) => limit > 0)
  if (limits.length === 0) return undefined
  return (field('used_memory') - field('mem_not_counted_for_evict')) / Math.min(...limits)
}

/** The lag of one stream, and its pace: how many milliseconds the lag loses in one. */
function createLag(redis: Redis, { stream, cursor }: StreamKeys) {
  let known = { cursor: '', oldest: '', lagMs: 0, atMs: 0 }
  let pace = 0

  return async (): Promise<{ lagMs: number; drainMs: number }> => {
    const reply = await redis.eval(OLDEST, 2, stream, cursor, known.cursor, known.oldest)
    const [at, oldest, nowMs] = reply as [string, string, number]
    const lagMs = oldest === '' ? 0 : Math.max(0, nowMs - Number(oldest.split('-')[0]))
    const elapsedMs = nowMs - known.atMs
    // A stream that had nothing waiting has no pace yet.
    pace = known.lagMs === 0 || elapsedMs <= 0 ? 0 : pace + PACE_WEIGHT * ((known.lagMs - lagMs) / elapsedMs - pace)
    known = { cursor: at, oldest, lagMs, atMs: nowMs }
    return { lagMs, drainMs: lagMs === 0 ? 0 : pace > 0 ? lagMs / pace : Number.POSITIVE_INFINITY }
  }
}
