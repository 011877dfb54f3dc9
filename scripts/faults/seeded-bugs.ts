import type { Figures } from './figures.ts'

/** A text of the source that is there exactly `times` times (once), and what the bug has in its place. */
export interface Patch {
  file: string
  find: string
  replace: string
  times?: number
}

export interface SeededBug {
  name: string
  /** What goes wrong, and why the rig has to see it. */
  story: string
  patches: Patch[]
  /** Beginnings of the names of the faults that bring it to light. */
  faults: string[]
  times: number
  /** At least one of these has to turn red. */
  caughtBy: (keyof Figures)[]
}

const ADMIT_TS = 'src/domains/events/admit.ts'
const ADMIT_LUA = 'src/domains/events/admit.lua'
const DEPOSIT = 'src/domains/events/deposit.ts'
const LEASE = 'src/domains/events/lease.ts'

const XADD =
  "  redis.call('XADD', KEYS[1], '*', 'o', ARGV[3], 'p', ARGV[4], 'n', freshCount, 'v', mask, 'h', ARGV[8], 'b', ARGV[7])\n"
const COUNT = "  redis.call('HINCRBY', KEYS[4], ARGV[3], freshCount)\n"

/** Eight ways in which such pipelines are known to lose, double or bill twice. A patch that does not fit any more is an error. */
export const SEEDED_BUGS: SeededBug[] = [
  {
    name: 'everysec',
    story: 'the buffer is fsynced once a second, so a power cut takes back what was acknowledged since',
    patches: [
      {
        file: 'scripts/embedded/redis.ts',
        find: "purpose === 'ingest' ? 'always'",
        replace: "purpose === 'ingest' ? 'everysec'",
      },
    ],
    faults: ['C15'],
    times: 4,
    caughtBy: ['lost'],
  },
  {
    name: 'maxlen',
    story: 'the stream has a greatest length, so a store that is away for long costs the oldest entries',
    patches: [{ file: ADMIT_LUA, find: "'XADD', KEYS[1], '*'", replace: "'XADD', KEYS[1], 'MAXLEN', 100, '*'" }],
    faults: ['ClickHouse down for 10 s'],
    times: 1,
    caughtBy: ['lost'],
  },
  {
    name: 'token-only',
    story: 'after doubt the same token is sent again and its success is believed, without reading back',
    patches: [{ file: DEPOSIT, find: 'if (!doubt) return await', replace: 'if (batch) return await' }],
    faults: ['C9 token'],
    times: 3,
    caughtBy: ['lost'],
  },
  {
    name: 'early-answer',
    story: 'events are acknowledged before the script has answered',
    patches: [
      {
        file: ADMIT_TS,
        find: 'const [verdict, remaining, resetMs, limit, quota] = await admit(',
        replace: 'const [verdict, remaining, resetMs, limit, quota] = early(marks.length / 24, admit)(',
      },
      {
        file: ADMIT_TS,
        find: 'const verdictOf =',
        replace: `const early = (count, admit) => (...args) => {
  admit(...args).catch(() => {})
  return [Buffer.from('1'.repeat(count)), 1, 1000, 1, Buffer.alloc(0)]
}
const verdictOf =`,
      },
    ],
    faults: ['C1 ', 'C3'],
    times: 3,
    caughtBy: ['lost'],
  },
  {
    name: 'session-token',
    story:
      'the token is a setting of the session and not of the statement, so later inserts go under the first one and vanish',
    patches: [
      {
        file: DEPOSIT,
        find: 'insert_deduplication_token: token,',
        replace: 'insert_deduplication_token: (globalThis.sessionToken ??= token),',
      },
    ],
    faults: ['C2'],
    times: 2,
    caughtBy: ['lost'],
  },
  {
    name: 'additive-billing',
    story: 'usage is added up as events come in, copies included',
    patches: [
      { file: ADMIT_LUA, find: COUNT, replace: '' },
      {
        file: ADMIT_LUA,
        find: 'local verdict = table.concat(verdicts)\n',
        replace: "local verdict = table.concat(verdicts)\nredis.call('HINCRBY', KEYS[4], ARGV[3], count)\n",
      },
    ],
    faults: ['C2'],
    times: 2,
    caughtBy: ['deltaBilled'],
  },
  {
    name: 'two-commands',
    story:
      'an event is marked as seen by one command and queued by the next, so a crash between them turns its retry into a duplicate of nothing',
    patches: [
      { file: ADMIT_LUA, find: XADD, replace: '' },
      {
        file: ADMIT_TS,
        find: "return answersOf(requests, verdict.toString('latin1'), shared)",
        replace: `const letters = verdict.toString('latin1')
      const fresh = letters.split('1').length - 1
      const mask = fresh < letters.length ? letters.replace(/[^1]/g, '0') : ''
      const fields = { o: organizationId, p: projectId, n: fresh, v: mask, h: hours.join(','), b: rows }
      if (fresh > 0) await redis.xadd(keys.stream, '*', ...Object.entries(fields).flat())
      return answersOf(requests, letters, shared)`,
      },
    ],
    faults: ['C2'],
    times: 4,
    caughtBy: ['lost'],
  },
  {
    name: 'no-fencing',
    story:
      'a sink that slept through its lease may go on as if it still held it; identity absorbs its rows, the cursor does not',
    patches: [
      {
        file: LEASE,
        find: "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end",
        replace: '',
        times: 2,
      },
    ],
    faults: ['C12'],
    times: 2,
    caughtBy: ['cursorRegressions', 'lost', 'duplicate'],
  },
]

/** The text with the bug in it; throws when the place for it is not there as often as it should be. */
export function patched({ file, find, replace, times = 1 }: Patch, text: string): string {
  const found = text.split(find).length - 1
  if (found !== times)
    throw new Error(`A seeded bug does not fit ${file} any more: ${found} times, not ${times}: ${find.trim()}`)
  return text.replaceAll(find, () => replace)
}
