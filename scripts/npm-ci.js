import { spawn } from 'node:child_process'
import { rmSync, writeFileSync } from 'node:fs'
import { basename } from 'node:path'
import { createInterface } from 'node:readline'
import { processIdentity, readRunningProcess } from './process-identity.js'

/**
 * Runs `npm ci` with everything that the project needs, whatever npm was configured to leave out, and resolves to its
 * exit code and its own words. An npm that a killed launcher left running is ended first: two of them in one
 * node_modules would destroy each other's work.
 *
 * @param {{ root: string, pidFile: string, options: string[], onDownload: (count: number) => void }} what
 * @returns {Promise<{ code: number | null, said: string }>}
 */
export async function runNpmCi({ root, pidFile, options, onDownload }) {
  await endLeftover(pidFile)
  const parameters = [
    '--include=dev',
    '--include=optional',
    '--ignore-scripts=false',
    '--no-audit',
    '--no-fund',
    ...options,
  ]
  const [program = 'npm', ...before] = npmCommand()
  const child = spawn(program, [...before, 'ci', ...parameters, '--loglevel=http', '--no-progress'], {
    cwd: root,
    env: npmEnvironment(),
    // A process group of its own, so that all of it can be ended: npm's install scripts are its grandchildren.
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const identity = child.pid && processIdentity(child.pid)
  if (identity) writeFileSync(pidFile, JSON.stringify({ pid: child.pid, identity }))
  const stopPassingOn = passSignalsOn(child.pid)
  const outcome = await outcomeOf(child, onDownload)
  stopPassingOn()
  rmSync(pidFile, { force: true })
  return outcome
}

/**
 * @param {import('node:child_process').ChildProcessByStdio<null, import('node:stream').Readable, import('node:stream').Readable>} child
 * @param {(count: number) => void} onDownload
 * @returns {Promise<{ code: number | null, said: string }>}
 */
function outcomeOf(child, onDownload) {
  /** @type {string[]} */
  const said = []
  let downloads = 0
  /** @param {string} line */
  const read = (line) => {
    if (line.startsWith('npm http')) onDownload(line.includes('.tgz') ? ++downloads : downloads)
    else if (line !== '' && !line.startsWith('npm warn')) said.push(line)
  }
  createInterface(child.stdout).on('line', read)
  createInterface(child.stderr).on('line', read)
  return new Promise((resolve) => {
    child.once('error', (error) => resolve({ code: 127, said: `    npm could not be started: ${error.message}` }))
    child.once('close', (code) => resolve({ code, said: bothEnds(said) }))
  })
}

/** The npm that runs us, if it is npm, else the one on PATH. */
function npmCommand() {
  const script = process.env.npm_execpath ?? ''
  return basename(script) === 'npm-cli.js' ? [process.execPath, script] : ['npm']
}

/** Without what would leave out the development dependencies, which hold the project's Node and the embedded services. */
function npmEnvironment() {
  const unwanted =
    /^(NODE_ENV|npm_config_(production|omit|only|also|ignore_scripts|dry_run|global|package_lock_only))$/i
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !unwanted.test(name)))
}

/** @param {number | undefined} pid */
function passSignalsOn(pid) {
  /** @type {NodeJS.Signals[]} */
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP']
  const end = () => {
    signalGroup(pid, 'SIGTERM')
    process.exit(130)
  }
  for (const signal of signals) process.on(signal, end)
  return () => {
    for (const signal of signals) process.off(signal, end)
  }
}

/** @param {string} pidFile */
async function endLeftover(pidFile) {
  const leftover = readRunningProcess(pidFile)
  if (!leftover) return
  signalGroup(leftover.pid, 'SIGKILL')
  while (processIdentity(leftover.pid) === leftover.identity) await new Promise((resolve) => setTimeout(resolve, 50))
}

/**
 * @param {number | undefined} pid
 * @param {NodeJS.Signals} signal
 */
function signalGroup(pid, signal) {
  try {
    if (pid !== undefined) process.kill(-pid, signal)
  } catch {
    // All of it has ended already.
  }
}

/**
 * npm names the fault first and its log file last, and between them may explain itself at length.
 *
 * @param {string[]} lines
 */
function bothEnds(lines) {
  const shown = lines.length > 20 ? [...lines.slice(0, 14), '…', ...lines.slice(-5)] : lines
  return shown.map((line) => `    ${line}`).join('\n')
}
