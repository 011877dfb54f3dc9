import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { processIdentity, runningProcess } from './process-identity.js'

/**
 * @typedef {import('./process-identity.js').ProcessRecord} ProcessRecord
 * @typedef {{ heldBy: ProcessRecord }} Refused
 * @typedef {{ note: (text: string) => void, release: () => void }} Lock
 */

/**
 * Takes a lock that is a file naming its holder. A holder that no longer runs does not count, so a lock left behind
 * by `kill -9` or a power cut heals by itself.
 *
 * @param {string} path
 * @returns {Lock | Refused}
 */
export function takeLock(path) {
  const holder = { pid: process.pid, identity: processIdentity(process.pid) ?? '' }
  const draft = `${path}.${process.pid}`
  writeFileSync(draft, JSON.stringify(holder), { mode: 0o600 })
  try {
    // A link appears with its content or not at all, and never over another one.
    while (!linked(draft, path)) {
      const text = textOf(path)
      const heldBy = runningProcess(text)
      if (heldBy) return { heldBy }
      if (text !== undefined) removeStale(path, text)
    }
  } finally {
    rmSync(draft, { force: true })
  }
  return {
    note(text) {
      writeFileSync(draft, JSON.stringify({ ...holder, note: text }), { mode: 0o600 })
      renameSync(draft, path)
    },
    release() {
      if (runningProcess(textOf(path))?.pid === process.pid) rmSync(path, { force: true })
    },
  }
}

/**
 * Moves a stale lock out of the way. Of two launchers that saw it, the slower may have moved the lock that the faster
 * has taken meanwhile; it notices by the text and puts it back.
 *
 * @param {string} path
 * @param {string} stale
 */
function removeStale(path, stale) {
  const aside = `${path}.${process.pid}.stale`
  try {
    renameSync(path, aside)
  } catch {
    // Somebody else moved it first.
    return
  }
  if (textOf(aside) !== stale) linked(aside, path)
  rmSync(aside, { force: true })
}

/**
 * @param {string} from
 * @param {string} to
 */
function linked(from, to) {
  try {
    linkSync(from, to)
    return true
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code === 'EEXIST') return false
    throw error
  }
}

/** @param {string} path */
function textOf(path) {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    // No such file.
    return undefined
  }
}
