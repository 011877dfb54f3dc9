import { spawn, spawnSync } from 'node:child_process'
import { findRedisBinary, type RedisBinary } from './redis-binary.ts'

interface PackageManager {
  program: string
  /** What to type by hand; also what is run, as root where `asRoot` says so. */
  install: readonly string[]
  refresh?: readonly string[]
  asRoot: boolean
}

/**
 * None of these leaves a server running on the well-known port: on Debian `redis-tools` holds the whole server without
 * the system service, and the others do not start what they install.
 */
const packageManagers: readonly PackageManager[] = [
  {
    program: 'apt-get',
    install: ['install', '-y', '--no-install-recommends', '-o', 'DPkg::Lock::Timeout=120', 'redis-tools'],
    refresh: ['update'],
    asRoot: true,
  },
  { program: 'dnf', install: ['install', '-y', 'valkey'], asRoot: true },
  { program: 'pacman', install: ['-Sy', '--noconfirm', 'valkey'], asRoot: true },
  { program: 'brew', install: ['install', 'redis'], asRoot: false },
]

/** Finds a Redis or Valkey server, installing one with the system's package manager when there is none. */
export async function provideRedisBinary(log: (line: string) => void): Promise<RedisBinary> {
  const found = findRedisBinary()
  if (found) return found
  const manager = packageManagers.find(({ program }) => spawnSync(program, ['--version']).status === 0)
  const prefix = manager && privilege(manager)
  if (!manager || !prefix) throw missing(manager)
  const startedAt = performance.now()
  log(`No redis-server here: installing it with ${manager.program} (no system service is started)`)
  let outcome = await run([...prefix, manager.program, ...manager.install])
  if (outcome.code !== 0 && manager.refresh) {
    // A fresh container has no package lists yet.
    await run([...prefix, manager.program, ...manager.refresh])
    outcome = await run([...prefix, manager.program, ...manager.install])
  }
  const installed = findRedisBinary()
  if (!installed) throw missing(manager, outcome.tail)
  log(`Installed Redis ${installed.version} in ${((performance.now() - startedAt) / 1000).toFixed(1)} s`)
  return installed
}

/** What to put before the command to have the rights for it, or undefined when they cannot be had unasked. */
function privilege({ asRoot }: PackageManager): string[] | undefined {
  if (!asRoot || process.getuid?.() === 0) return []
  return spawnSync('sudo', ['-n', 'true']).status === 0 ? ['sudo', '-n'] : undefined
}

function missing(manager: PackageManager | undefined, output = ''): Error {
  const command = manager && `${manager.asRoot ? 'sudo ' : ''}${manager.program} ${manager.install.join(' ')}`
  return new Error(
    `There is no redis-server or valkey-server (6.2 or newer) on this machine: ${command ? `run \`${command}\`` : 'install one'}, ` +
      `or set METERHOUSE_REDIS_URL and METERHOUSE_INGEST_REDIS_URL${output && `\n${output}`}`,
  )
}

function run(command: string[]): Promise<{ code: number | null; tail: string }> {
  return new Promise((resolve) => {
    const [program = '', ...parameters] = command
    const environment = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', HOMEBREW_NO_AUTO_UPDATE: '1' }
    const child = spawn(program, parameters, { env: environment, stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    const collect = (chunk: Buffer) => {
      output = (output + chunk.toString()).slice(-4000)
    }
    child.stdout.on('data', collect)
    child.stderr.on('data', collect)
    child.once('error', (error) => resolve({ code: null, tail: error.message }))
    child.once('close', (code) => resolve({ code, tail: output.trimEnd().split('\n').slice(-8).join('\n') }))
  })
}
