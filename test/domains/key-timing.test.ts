import { crc32 } from 'node:zlib'
import t from 'tap'
import { createProjectsService } from '../../src/domains/projects/index.ts'
import { isWellFormedKey } from '../../src/domains/projects/keys.ts'
import { authorized, startTestApp } from '../helpers/app.ts'
import { makeApiKey } from '../helpers/principals.ts'
import { createTwoTenants } from '../helpers/tenants.ts'

const BASE62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const PREFIX = 'mh_live_'
const CHECKSUM_LENGTH = 6
/** TEST_TIMING_PAIRS asks at length. */
const PAIRS = Number(process.env.TEST_TIMING_PAIRS ?? 2000)
const WARM_UP = 200
const KEYS = 7
/** A difference that is there by chance exceeds this about once in 150,000 runs. */
const T_MAX = 4.5
/** Shares of the sorted times that are left out: what the machine does beside is not what is measured. */
const CROPPED = 0.1

const checksumOf = (body: string) => {
  let [rest, text] = [crc32(body), '']
  for (let i = 0; i < CHECKSUM_LENGTH; i++, rest = Math.floor(rest / 62)) text = BASE62[rest % 62] + text
  return text
}

/** The same key with one other character of its secret, and the checksum that belongs to it. */
function wrongAt(key: string, index: number, round: number): string {
  const body = key.slice(0, -CHECKSUM_LENGTH)
  const others = [...BASE62].filter((character) => character !== body[index])
  const other = body.slice(0, index) + others[round % others.length] + body.slice(index + 1)
  return other + checksumOf(other)
}

/** The text as a parser of HTTP makes it: how it was put together here would show in the times. */
const asReceived = (text: string) => Buffer.from(text, 'latin1').toString('latin1')

/** Welch's t of two samples, each without its fastest and slowest tenth. */
function welch(a: number[], b: number[]): number {
  const [first, second] = [a, b].map((times) => {
    const sorted = times.toSorted((x, y) => x - y)
    const kept = sorted.slice(Math.floor(sorted.length * CROPPED), Math.ceil(sorted.length * (1 - CROPPED)))
    const mean = kept.reduce((sum, time) => sum + time, 0) / kept.length
    const variance = kept.reduce((sum, time) => sum + (time - mean) ** 2, 0) / (kept.length - 1)
    return { mean, error: variance / kept.length }
  }) as [{ mean: number; error: number }, { mean: number; error: number }]
  return (first.mean - second.mean) / Math.sqrt(first.error + second.error)
}

t.test('the statistic sees a difference, and none where there is none', async (t) => {
  let state = 1
  // A small generator with a seed, so that the test is the same each time.
  const random = () => {
    state = (state * 16807) % 2147483647
    return state / 2147483647
  }
  const times = (shift: number) =>
    Array.from({ length: 3000 }, () => 1 + shift + random() * (random() < 0.01 ? 50 : 0.2))
  t.ok(Math.abs(welch(times(0), times(0))) < T_MAX)
  t.ok(Math.abs(welch(times(0.05), times(0))) > T_MAX)
})

t.test('how long a wrong key takes does not tell where it is wrong', async (t) => {
  const { app } = await startTestApp(t, { METERHOUSE_ROLES: 'api' })
  const [alpha] = await createTwoTenants(app)
  const [first, last] = [PREFIX.length, alpha.apiKey.length - CHECKSUM_LENGTH - 1]
  for (const index of [first, last])
    t.ok(isWellFormedKey(wrongAt(alpha.apiKey, index, 0)), 'it gets as far as the look-up')
  // Several, as where the hash of one key lies in memory is a matter of luck, and the same luck for all that is asked about it.
  const keys = await Promise.all(Array.from({ length: KEYS }, () => makeApiKey(app, alpha, ['projects:read'])))
  // The keys themselves are known to the process, as they are to one that is attacked.
  for (const { key } of keys)
    t.equal((await app.inject(authorized(key, { url: `/v1/projects/${alpha.projectId}` }))).statusCode, 200)

  const ask = async (index: number, round: number) => {
    const key = wrongAt(keys[round % KEYS]?.key ?? '', index, Math.floor(round / KEYS))
    const request = authorized(asReceived(key), { url: '/v1/me' })
    const startedAt = performance.now()
    const { statusCode } = await app.inject(request)
    const elapsedMs = performance.now() - startedAt
    if (statusCode !== 401) throw new Error(`answered ${statusCode}`)
    return elapsedMs
  }
  const times: Record<'first' | 'last', number[]> = { first: [], last: [] }
  for (let round = 0; round < PAIRS + WARM_UP; round++) {
    // Each goes first as often as the other.
    const order = round % 2 === 0 ? (['first', 'last'] as const) : (['last', 'first'] as const)
    for (const which of order) {
      const elapsedMs = await ask(which === 'first' ? first : last, round)
      if (round >= WARM_UP) times[which].push(elapsedMs)
    }
  }
  const score = welch(times.first, times.last)
  t.comment(`t = ${score.toFixed(2)} over ${PAIRS} pairs`)
  t.ok(Math.abs(score) < T_MAX, `t = ${score}`)
})

/** How many calls one measurement is of: one call is shorter than what a clock shows with certainty. */
const CALLS = 20
const DIRECT_PAIRS = 6000

t.test('nor does the check itself, without the noise of HTTP and the database around it', async (t) => {
  const { app } = await startTestApp(t, { METERHOUSE_ROLES: 'api' })
  const [alpha] = await createTwoTenants(app)
  type Dependencies = Parameters<typeof createProjectsService>[0]
  let isAway = false
  const withSystem = ((work: Parameters<Dependencies['postgres']['withSystem']>[0]) =>
    isAway ? Promise.resolve(undefined) : app.postgres.withSystem(work)) as Dependencies['postgres']['withSystem']
  const { authenticateKey } = createProjectsService({
    postgres: { ...app.postgres, withSystem },
    organizations: {} as Dependencies['organizations'],
    retentionOf: async () => ({ maxDays: null, assertAllows: () => {} }),
    noteUse: () => {},
  })
  const keys = await Promise.all(Array.from({ length: KEYS }, () => makeApiKey(app, alpha, ['projects:read'])))
  for (const { key } of keys) await authenticateKey(key, '127.0.0.1')
  // From here on nothing is found, which a look-up by the hash of the whole answers as it would for any other.
  isAway = true
  const [first, last] = [PREFIX.length, alpha.apiKey.length - CHECKSUM_LENGTH - 1]
  const ask = async (index: number, round: number) => {
    const wrong = Array.from({ length: CALLS }, (_, call) =>
      asReceived(wrongAt(keys[round % KEYS]?.key ?? '', index, round + call)),
    )
    const startedAt = performance.now()
    for (const key of wrong) await authenticateKey(key, '127.0.0.1').catch(() => {})
    return performance.now() - startedAt
  }
  const times: Record<'first' | 'last', number[]> = { first: [], last: [] }
  for (let round = 0; round < DIRECT_PAIRS + WARM_UP; round++) {
    const order = round % 2 === 0 ? (['first', 'last'] as const) : (['last', 'first'] as const)
    for (const which of order) {
      const elapsedMs = await ask(which === 'first' ? first : last, round)
      if (round >= WARM_UP) times[which].push(elapsedMs)
    }
  }
  const score = welch(times.first, times.last)
  t.comment(`t = ${score.toFixed(2)} over ${DIRECT_PAIRS} pairs of ${CALLS} calls`)
  t.ok(Math.abs(score) < T_MAX, `t = ${score}`)
})
