import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { runNpmCi } from './npm-ci.js'
import { takeLock } from './process-lock.js'
import { startProgress } from './progress.js'

/**
 * Makes node_modules what package-lock.json says, unless it is already, and answers with the path of the project's
 * own Node. Guarantees: an install that was interrupted is done again, and two launchers never install at once.
 *
 * @param {string} root
 * @returns {Promise<string>}
 */
export async function ensureInstalled(root) {
  if (!isInstalled(root)) await underLock(root, (folder) => isInstalled(root) || install(root, folder))
  return ownNode(root)
}

/**
 * The stamp is written after the last step of an install and holds what it was an install of. File times say nothing:
 * git sets them anew at every checkout.
 *
 * @param {string} root
 */
function isInstalled(root) {
  const stamp = existsSync(stampFile(root)) ? readFileSync(stampFile(root), 'utf8') : undefined
  if (stamp === fingerprint(root)) return existsSync(nodeFile(root))
  // Somebody's own `npm ci` or `npm install` leaves no stamp, or an old one, and is as good.
  return (stamp === undefined || stamp.endsWith(` ${platform}\n`)) && adoptInstall(root)
}

/**
 * Recognizes a complete install that npm made without us, by the record that npm writes into node_modules at the very
 * end, and stamps it.
 *
 * @param {string} root
 */
function adoptInstall(root) {
  const wanted = packagesIn(join(root, 'package-lock.json'))
  const found = packagesIn(join(root, 'node_modules', '.package-lock.json'))
  const isComplete = Object.entries(wanted).every(
    ([path, entry]) => path === '' || (found[path] ? found[path].version === entry.version : entry.optional),
  )
  // The record does not tell whether install scripts ran, nor on what system. Node must have been fetched, and run.
  if (!isComplete || spawnSync(nodeFile(root), ['--version']).status !== 0) return false
  try {
    writeFileSync(stampFile(root), fingerprint(root))
  } catch {
    // Read-only, as in a container image: it is as good, and only looked at again at the next start.
  }
  return true
}

/**
 * @param {string} lockfile
 * @returns {Record<string, { version?: string, optional?: boolean }>}
 */
function packagesIn(lockfile) {
  return existsSync(lockfile) ? JSON.parse(readFileSync(lockfile, 'utf8')).packages : {}
}

/**
 * @param {string} root
 * @param {string} folder
 */
async function install(root, folder) {
  const startedAt = Date.now()
  const progress = startProgress('Installing dependencies from package-lock.json (npm ci)')
  rmSync(stampFile(root), { force: true })
  const run = (/** @type {string[]} */ ...options) =>
    runNpmCi({ root, pidFile: join(folder, 'install.pid'), options, onDownload: progress.advance })
  // Not asking the registry again about what lies in npm's cache spares a third of the time, where the cache is right.
  let { code, said } = await run('--prefer-offline')
  if (code !== 0) ({ code, said } = await run())
  const isDone = code === 0 && existsSync(nodeFile(root))
  progress.end(isDone ? `done in ${Math.round((Date.now() - startedAt) / 1000)} s` : 'failed')
  if (code !== 0) throw new Error(`npm ci failed with code ${code}. It said:\n\n${said}`)
  if (!isDone) {
    throw new Error(
      'npm ci ran no install scripts, so node_modules/node is empty: check `npm config get ignore-scripts` and the ' +
        '`allowScripts` of package.json',
    )
  }
  writeFileSync(stampFile(root), fingerprint(root))
}

/**
 * The lock lies outside node_modules, which npm empties.
 *
 * @param {string} root
 * @param {(folder: string) => unknown} work
 */
async function underLock(root, work) {
  const folder = join(root, '.data')
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const path = join(folder, 'install.lock')
  let lock = takeLock(path)
  if ('heldBy' in lock) console.log(`  Process ${lock.heldBy.pid} is installing here already; waiting for it`)
  while ('heldBy' in lock) {
    await new Promise((resolve) => setTimeout(resolve, 200))
    lock = takeLock(path)
  }
  try {
    await work(folder)
  } finally {
    lock.release()
  }
}

/**
 * Node as pinned by package-lock.json; on a system that its build does not run on, the one that runs this, if it is
 * of the same major version.
 *
 * @param {string} root
 */
function ownNode(root) {
  const own = nodeFile(root)
  const check = spawnSync(own, ['--version'], { encoding: 'utf8' })
  if (check.status === 0) return own
  const { version } = JSON.parse(readFileSync(join(root, 'node_modules', 'node', 'package.json'), 'utf8'))
  if (process.versions.node.split('.')[0] === version.split('.')[0]) return process.execPath
  const reason = check.error?.message ?? check.stderr.trim()
  throw new Error(`${own} does not run here (${reason}): install Node ${version} and start again`)
}

const platform = `${process.platform}-${process.arch}`

/** @param {string} root */
function fingerprint(root) {
  const lockfile = readFileSync(join(root, 'package-lock.json'))
  return `${createHash('sha256').update(lockfile).digest('hex')} ${platform}\n`
}

/** @param {string} root */
function stampFile(root) {
  return join(root, 'node_modules', '.meterhouse-install')
}

/** @param {string} root */
function nodeFile(root) {
  return join(root, 'node_modules', 'node', 'bin', 'node')
}
