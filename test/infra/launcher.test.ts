import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { eventually } from '../helpers/app.ts'

const scripts = fileURLToPath(new URL('../../scripts/', import.meta.url))
const plainFiles = ['launch.js', 'install.js', 'npm-ci.js', 'progress.js', 'process-lock.js', 'process-identity.js']

/** Stands in for npm: notes how it was called, may wait or fail, and leaves behind what `npm ci` would. */
const fakeNpm = `#!/bin/sh
echo "$*|NODE_ENV=$NODE_ENV|omit=$npm_config_omit|scripts=$npm_config_ignore_scripts" >> npm-calls
rm -rf node_modules && mkdir -p node_modules/node/bin
while [ -e npm-waits ]; do sleep 0.02; done
if [ -e npm-fails ]; then echo "npm http fetch GET 200" >&2; echo "npm error code EFAKE" >&2; exit 7; fi
printf '{"version":"26.0.0"}' > node_modules/node/package.json
printf '#!/bin/sh\\nexec "${process.execPath}" "$@"\\n' > node_modules/node/bin/node
chmod +x node_modules/node/bin/node
cp package-lock.json node_modules/.package-lock.json
`
const fakeTask = `
console.log('task runs with ' + process.argv.slice(2).join(' '))
process.on('message', () => {})
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => { console.log('got ' + signal); process.exit(5) })
process.on('disconnect', () => process.exit(6))
if (!process.argv.includes('stay')) process.exit(3)
`

interface Checkout {
  root: string
  path: (name: string) => string
  launch: (parameters?: string[], environment?: Record<string, string>) => Launch
  npmCalls: () => string[]
}

interface Launch {
  child: ChildProcess
  output: () => string
  exited: Promise<number | null>
}

/** A checkout of the plain part of the launcher, with an npm and a task of the test's own. */
function makeCheckout(t: Test): Checkout {
  const root = mkdtempSync(join(tmpdir(), 'launcher-test-'))
  const path = (name: string) => join(root, name)
  for (const file of plainFiles) cpSync(join(scripts, file), path(`scripts/${file}`))
  writeFileSync(path('package.json'), '{"type":"module"}')
  writeLockfile(root, '1.0.0')
  cpSync(path('package.json'), path('bin/package.json'))
  writeFileSync(path('bin/npm'), fakeNpm)
  chmodSync(path('bin/npm'), 0o755)
  writeFileSync(path('scripts/start.ts'), fakeTask)
  const running = new Set<ChildProcess>()
  t.teardown(() => {
    for (const child of running) child.kill('SIGKILL')
    rmSync(root, { recursive: true, force: true, maxRetries: 5 })
  })
  return {
    root,
    path,
    launch(parameters = [], environment = {}) {
      const child = spawn(process.execPath, [path('scripts/launch.js'), 'start', ...parameters], {
        env: { PATH: `${path('bin')}:${process.env.PATH}`, ...environment },
        stdio: ['ignore', 'pipe', 'pipe'],
      })
      running.add(child)
      let output = ''
      const collect = (chunk: Buffer) => {
        output += chunk
      }
      child.stdout.on('data', collect)
      child.stderr.on('data', collect)
      const exited = once(child, 'close').then(([code]) => {
        running.delete(child)
        return code as number | null
      })
      return { child, output: () => output, exited }
    },
    npmCalls: () => (existsSync(path('npm-calls')) ? readFileSync(path('npm-calls'), 'utf8').trim().split('\n') : []),
  }
}

function writeLockfile(root: string, version: string): void {
  const packages = {
    '': {},
    'node_modules/needed': { version },
    'node_modules/other-platform': { version, optional: true },
  }
  writeFileSync(join(root, 'package-lock.json'), JSON.stringify({ lockfileVersion: 3, packages }))
}

t.test(
  'what is missing is installed once; then the task gets the parameters and its exit code comes back',
  async (t) => {
    const checkout = makeCheckout(t)
    const first = checkout.launch(['a', 'b c'])
    t.equal(await first.exited, 3)
    t.match(first.output(), /Installing dependencies from package-lock\.json/)
    t.match(first.output(), /done in \d+ s/)
    t.match(first.output(), 'task runs with a b c')
    const second = checkout.launch()
    t.equal(await second.exited, 3)
    t.notMatch(second.output(), /Installing/)
    t.equal(checkout.npmCalls().length, 1)
    t.notOk(existsSync(checkout.path('.data/install.lock')), 'the lock is released')
  },
)

t.test('a changed lockfile is installed, whatever the times of the files say', async (t) => {
  const checkout = makeCheckout(t)
  await checkout.launch().exited
  writeLockfile(checkout.root, '2.0.0')
  await checkout.launch().exited
  t.equal(checkout.npmCalls().length, 2)
  // The same content written anew, as a checkout does.
  writeLockfile(checkout.root, '2.0.0')
  await checkout.launch().exited
  t.equal(checkout.npmCalls().length, 2)
})

t.test('an install that npm made by itself is adopted, unless it is of another lockfile or lacks Node', async (t) => {
  const checkout = makeCheckout(t)
  await checkout.launch().exited
  rmSync(checkout.path('node_modules/.meterhouse-install'))
  await checkout.launch().exited
  t.equal(checkout.npmCalls().length, 1, 'adopted')

  rmSync(checkout.path('node_modules/.meterhouse-install'))
  writeLockfile(checkout.root, '2.0.0')
  await checkout.launch().exited
  t.equal(checkout.npmCalls().length, 2, 'another lockfile')

  rmSync(checkout.path('node_modules/.meterhouse-install'))
  rmSync(checkout.path('node_modules/node/bin/node'))
  await checkout.launch().exited
  t.equal(checkout.npmCalls().length, 3, 'no Node')
})

t.test('development dependencies and install scripts are asked for, whatever npm was told to leave out', async (t) => {
  const checkout = makeCheckout(t)
  await checkout.launch([], { NODE_ENV: 'production', npm_config_omit: 'dev', npm_config_ignore_scripts: 'true' })
    .exited
  const [call = ''] = checkout.npmCalls()
  t.match(call, '--include=dev --include=optional --ignore-scripts=false')
  t.match(call, '|NODE_ENV=|omit=|scripts=')
})

t.test('a failed install ends with the words and the code of npm, and is tried again at the next start', async (t) => {
  const checkout = makeCheckout(t)
  writeFileSync(checkout.path('npm-fails'), '')
  const failed = checkout.launch()
  t.equal(await failed.exited, 1)
  t.match(failed.output(), /npm ci failed with code 7/)
  t.match(failed.output(), 'npm error code EFAKE')
  t.notMatch(failed.output(), 'npm http')
  rmSync(checkout.path('npm-fails'))
  t.equal(await checkout.launch().exited, 3)
})

t.test('an install cut off by kill -9 is done again, and its npm is not left to work beside the new one', async (t) => {
  const checkout = makeCheckout(t)
  writeFileSync(checkout.path('npm-waits'), '')
  const cutOff = checkout.launch()
  const npm = await eventually('npm runs', async () => readPid(checkout.path('.data/install.pid')))
  await eventually('npm was called', async () => checkout.npmCalls().length === 1)
  cutOff.child.kill('SIGKILL')
  await cutOff.exited
  t.ok(isRunning(npm), 'npm outlives the launcher that was killed')

  const next = checkout.launch()
  await eventually('the old npm is ended', async () => !isRunning(npm))
  rmSync(checkout.path('npm-waits'))
  t.equal(await next.exited, 3)
  t.equal(checkout.npmCalls().length, 2)
})

t.test('an interrupted install takes its npm along', async (t) => {
  const checkout = makeCheckout(t)
  writeFileSync(checkout.path('npm-waits'), '')
  const launch = checkout.launch()
  const npm = await eventually('npm runs', async () => readPid(checkout.path('.data/install.pid')))
  launch.child.kill('SIGINT')
  t.equal(await launch.exited, 130)
  t.ok(await eventually('npm is gone', async () => !isRunning(npm)))
})

t.test('of two launches at once one installs and the other waits for it', async (t) => {
  const checkout = makeCheckout(t)
  writeFileSync(checkout.path('npm-waits'), '')
  const launches = [checkout.launch(), checkout.launch()]
  await eventually('one waits', async () =>
    launches.some((launch) => /is installing here already/.test(launch.output())),
  )
  rmSync(checkout.path('npm-waits'))
  t.same(await Promise.all(launches.map((launch) => launch.exited)), [3, 3])
  t.equal(checkout.npmCalls().length, 1)
})

t.test('a signal reaches the task, and its answer is the answer of the launcher', async (t) => {
  const checkout = makeCheckout(t)
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    const launch = checkout.launch(['stay'])
    await eventually('the task runs', async () => launch.output().includes('task runs'))
    launch.child.kill(signal)
    t.equal(await launch.exited, 5)
    t.match(launch.output(), `got ${signal}`)
  }
})

t.test('the task learns of a launcher that was killed with -9', async (t) => {
  const checkout = makeCheckout(t)
  writeFileSync(
    checkout.path('scripts/start.ts'),
    `import { writeFileSync } from 'node:fs'
     process.on('disconnect', () => { writeFileSync('noticed', ''); process.exit() })
     console.log('task runs')`,
  )
  const launch = checkout.launch()
  await eventually('the task runs', async () => launch.output().includes('task runs'))
  launch.child.kill('SIGKILL')
  t.ok(await eventually('the task noticed', async () => existsSync(checkout.path('noticed'))))
})

function readPid(file: string): number | undefined {
  try {
    return (JSON.parse(readFileSync(file, 'utf8')) as { pid: number }).pid
  } catch {
    // Not written yet.
    return undefined
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    // No such process.
    return false
  }
}
