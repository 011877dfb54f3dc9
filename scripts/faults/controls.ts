import { spawn } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { table } from '../clickstream/table.ts'
import type { Figures } from './figures.ts'
import { patched, SEEDED_BUGS, type SeededBug } from './seeded-bugs.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const COPIED = ['src', 'scripts', 'migrations', 'clickhouse', 'package.json', 'package-lock.json']

export interface ControlResult {
  name: string
  story: string
  isCaught: boolean
  /** The figures that were red, with their values; or why there are none. */
  figures: Partial<Figures>
  note: string
}

/**
 * The rig on copies of the source that hold a seeded bug each: a rig that stays green on one of them proves nothing when it is green
 * on the real source. Resolves to whether all were caught. The product's own files are only read.
 */
export async function runControls(only: string | undefined, seed: string, dataDirectory: string, signal: AbortSignal) {
  const bugs = SEEDED_BUGS.filter(({ name }) => only === undefined || name === only)
  if (bugs.length === 0) throw new Error(`--control has to be one of ${SEEDED_BUGS.map(({ name }) => name).join(', ')}`)
  // Before the first minute is spent: do all the patches still fit?
  for (const patch of bugs.flatMap(({ patches }) => patches))
    patched(patch, readFileSync(join(ROOT, patch.file), 'utf8'))
  const results: ControlResult[] = []
  for (const bug of bugs) {
    if (signal.aborted) break
    console.log(`${bug.name}: ${bug.story}`)
    const result = await runControl(bug, seed, signal)
    console.log(`  ${result.isCaught ? 'caught' : 'NOT CAUGHT'}: ${result.note}`)
    results.push(result)
  }
  const directory = join(dataDirectory, 'faults')
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  writeFileSync(join(directory, 'controls.json'), `${JSON.stringify({ seed, results }, null, 2)}\n`)
  const rows = results.map(({ name, isCaught, note }) => [name, isCaught ? 'yes' : 'NO', note])
  console.log(`\n${table(['seeded bug', 'caught', 'by'], rows)}\n\nThe report is in ${directory}`)
  return results.length === bugs.length && results.every(({ isCaught }) => isCaught)
}

async function runControl(bug: SeededBug, seed: string, signal: AbortSignal): Promise<ControlResult> {
  const { name, story } = bug
  const copy = mkdtempSync(join(tmpdir(), 'mh-control-'))
  try {
    for (const path of COPIED) cpSync(join(ROOT, path), join(copy, path), { recursive: true })
    symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'))
    for (const patch of bug.patches) {
      const path = join(copy, patch.file)
      writeFileSync(path, patched(patch, readFileSync(path, 'utf8')))
    }
    const log = join(copy, 'run.log')
    await runRig(bug, seed, copy, log, signal)
    const figures = readFigures(join(copy, 'data', 'faults', 'latest.json'))
    if (!figures) {
      const last = readFileSync(log, 'utf8').trim().split('\n').slice(-3).join(' / ')
      return { name, story, isCaught: false, figures: {}, note: `the rig did not come to a verdict: ${last}` }
    }
    const red = Object.entries(figures).filter(([, value]) => value !== 0)
    const isCaught = red.some(([figure]) => bug.caughtBy.includes(figure as keyof Figures))
    const note = red.map(([figure, value]) => `${figure} ${value}`).join(', ') || 'every figure is 0'
    return { name, story, isCaught, figures: Object.fromEntries(red), note }
  } finally {
    rmSync(copy, { recursive: true, force: true, maxRetries: 10 })
  }
}

function runRig(bug: SeededBug, seed: string, copy: string, log: string, signal: AbortSignal): Promise<void> {
  const only = bug.faults.flatMap((fault) => ['--only', fault])
  const output = openSync(log, 'a')
  const child = spawn(
    process.execPath,
    [join(copy, 'scripts', 'faults', 'run.ts'), ...only, '--times', String(bug.times), '--seed', seed],
    { cwd: copy, env: { ...process.env, METERHOUSE_DATA: join(copy, 'data') }, stdio: ['ignore', output, output] },
  )
  const stop = () => child.kill('SIGTERM')
  signal.addEventListener('abort', stop)
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', () => {
      signal.removeEventListener('abort', stop)
      resolve()
    })
  })
}

function readFigures(path: string): Figures | undefined {
  try {
    return (JSON.parse(readFileSync(path, 'utf8')) as { figures: Figures }).figures
  } catch {
    // The run ended before its report, and its log says why.
    return undefined
  }
}
