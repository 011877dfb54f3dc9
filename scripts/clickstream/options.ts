import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { StreamPlan } from './plan.ts'

export const USAGE = `npm run load -- [options]

Generates a realistic click-stream, sends it through POST /v1/events, and holds the answers of the query API
against its own count. The same options (with --until) make the same events, so a second run adds nothing.

  --events 1000000     how many events
  --users 20000        how many people
  --months 3           how far back it begins
  --seed 42            which of the endless streams
  --until 2026-10-01T12:00:00Z    where it ends; now, unless given
  --url, --key, --api-key, --project    the server, its write key, an API key with query:read and the project;
                       read from credentials.json in METERHOUSE_DATA or .data, unless given
  --concurrency 4      bodies of 2,000 events on the way at a time
  --verify-only        send nothing, check a stream that was sent before: the one of --until, or the newest
  --describe           send nothing, show what the stream looks like`

export interface Options {
  mode: 'load' | 'verify' | 'describe' | 'help'
  plan: StreamPlan
  /** Whether `plan.untilMs` was asked for, or is only the time of the call. */
  hasUntil: boolean
  concurrency: number
  url: string | undefined
  key: string | undefined
  apiKey: string | undefined
  project: string | undefined
}

/** Reads the command line; every fault names its option. */
export function readOptions(argv: string[], nowMs: number): Options {
  const text = { type: 'string' } as const
  const { values } = parseArgs({
    args: argv,
    options: {
      events: text,
      users: text,
      months: text,
      seed: text,
      until: text,
      url: text,
      key: text,
      'api-key': text,
      project: text,
      concurrency: text,
      'verify-only': { type: 'boolean' },
      describe: { type: 'boolean' },
      help: { type: 'boolean', short: 'h' },
    },
  })
  const untilMs = values.until === undefined ? nowMs : Date.parse(values.until)
  if (Number.isNaN(untilMs))
    throw new Error(`--until has to be a time like 2026-10-01T12:00:00Z, not "${values.until}"`)
  return {
    mode: values.help ? 'help' : values.describe ? 'describe' : values['verify-only'] ? 'verify' : 'load',
    plan: {
      seed: integer('seed', values.seed, 42, 0, 2 ** 31),
      untilMs: Math.floor(untilMs / 1000) * 1000,
      months: integer('months', values.months, 3, 1, 24),
      events: integer('events', values.events, 1_000_000, 1, 1_000_000_000),
      users: integer('users', values.users, 20_000, 1, 999_999),
    },
    hasUntil: values.until !== undefined,
    concurrency: integer('concurrency', values.concurrency, 4, 1, 64),
    url: values.url,
    key: values.key,
    apiKey: values['api-key'],
    project: values.project,
  }
}

function integer(name: string, given: string | undefined, fallback: number, low: number, high: number): number {
  if (given === undefined) return fallback
  const value = Number(given.replaceAll('_', '') || Number.NaN)
  if (Number.isInteger(value) && value >= low && value <= high) return value
  throw new Error(`--${name} has to be a whole number from ${low} to ${high}, not "${given}"`)
}

export interface Target {
  url: string
  writeKey: string
  /** Absent when only a write key is known: then the stream can be sent but not checked. */
  reading: { key: string; projectId: string } | undefined
}

/** The server and the keys: options first, then `credentials.json`, whose keys are only ever sent to the server they belong to. */
export function readTarget(options: Options, dataDirectory: string): Target {
  const file = join(dataDirectory, 'credentials.json')
  const stored = readCredentials(file)
  const url = options.url ?? stored.baseUrl
  if (!url) throw new Error(`${file} is missing: start Meterhouse with npm start, or give --url and --key`)
  if (!URL.canParse(url)) throw new Error(`--url has to be a URL like http://127.0.0.1:3000, not "${url}"`)
  const own = stored.baseUrl && new URL(stored.baseUrl).origin === new URL(url).origin ? stored : {}
  const writeKey = options.key ?? own.writeKey
  if (!writeKey) throw new Error(`--key is needed: ${file} holds no keys of ${url}`)
  const key = options.apiKey ?? own.apiKey
  const projectId = options.project ?? own.projectId
  return { url, writeKey, reading: key && projectId ? { key, projectId } : undefined }
}

interface Credentials {
  baseUrl?: string
  writeKey?: string
  apiKey?: string
  projectId?: string
}

function readCredentials(file: string): Credentials {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Credentials
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {}
    throw new Error(`${file} cannot be read: ${(error as Error).message}`)
  }
}
