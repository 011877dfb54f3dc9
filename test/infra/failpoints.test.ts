import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { armFailpoints, FAILPOINTS, failpoint } from '../../src/infra/failpoints.ts'
import { readTree } from '../helpers/imports.ts'

const MODULE = fileURLToPath(new URL('../../src/infra/failpoints.ts', import.meta.url))
const arm = (text: string) =>
  armFailpoints(text, (signal) => {
    throw new Error(`${signal} was not asked for`)
  })
t.afterEach(() => arm(''))

t.test('a failpoint that nobody armed does nothing', async (t) => {
  for (const name of FAILPOINTS) t.doesNotThrow(() => failpoint(name), name)
  arm('sink.sealed=error')
  t.doesNotThrow(() => failpoint('sink.stored'), 'nor does one beside an armed one')
})

t.test('a failpoint acts at the passage that was asked for, and once', async (t) => {
  arm('sink.sealed=error@3,sink.stored=error')
  failpoint('sink.sealed')
  failpoint('sink.sealed')
  t.throws(() => failpoint('sink.sealed'), { message: 'failpoint sink.sealed' })
  t.doesNotThrow(() => failpoint('sink.sealed'))
  t.throws(() => failpoint('sink.stored'))
})

t.test('a delay stops the whole process for that long', async (t) => {
  arm('sink.sealed=delay:60')
  const startedAt = performance.now()
  failpoint('sink.sealed')
  t.ok(performance.now() - startedAt >= 59)
})

t.test('a name or an action that does not exist is refused with the names that do', async (t) => {
  for (const text of ['sink.seald=kill', 'sink.sealed=explode', 'sink.sealed', 'sink.sealed=kill@x']) {
    t.throws(() => arm(text), { message: /^METERHOUSE_FAILPOINTS: .*sink\.sealed/ }, text)
  }
})

t.test('kill ends the process on the spot, and what it did is on stderr', async (t) => {
  for (const action of ['kill', 'kill:20']) {
    const script = `import { armFailpoints, failpoint } from ${JSON.stringify(MODULE)}
armFailpoints('lease.acquired=${action}', (signal) => process.kill(process.pid, signal))
failpoint('lease.acquired')
process.stdout.write('went on')
setInterval(() => {}, 1000)`
    const { signal, stderr, stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
      encoding: 'utf8',
    })
    t.equal(signal, 'SIGKILL', action)
    t.equal(stderr, 'failpoint lease.acquired: kill\n')
    t.equal(stdout, action === 'kill' ? '' : 'went on', 'only a later kill lets it go on')
  }
})

t.test('every failpoint stands somewhere in the code, once', async (t) => {
  const src = [...readTree(new URL('../../', import.meta.url), 'src')].map(([, text]) => text).join('\n')
  for (const name of FAILPOINTS) t.equal(src.split(`failpoint('${name}')`).length - 1, 1, name)
})
