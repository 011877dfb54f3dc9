import { spawnSync } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

export interface RedisBinary {
  path: string
  /** Debian keeps the server inside `redis-check-rdb` and tells the two apart by the name it is called by. */
  calledAs: string
  version: string
}

const oldestVersion = [6, 2] as const
const usualPlaces = [
  '/usr/bin',
  '/usr/local/bin',
  '/opt/homebrew/bin',
  '/opt/local/bin',
  '/home/linuxbrew/.linuxbrew/bin',
]
const candidates = [
  { file: 'redis-server', calledAs: 'redis-server' },
  { file: 'valkey-server', calledAs: 'valkey-server' },
  { file: 'redis-check-rdb', calledAs: 'redis-server' },
  { file: 'valkey-check-rdb', calledAs: 'valkey-server' },
] as const

/** The first Redis or Valkey server on this machine that is new enough, or undefined. */
export function findRedisBinary(searchPath = process.env.PATH ?? ''): RedisBinary | undefined {
  const folders = [...new Set([...searchPath.split(delimiter).filter(Boolean), ...usualPlaces])]
  for (const { file, calledAs } of candidates) {
    for (const folder of folders) {
      const binary = inspect(join(folder, file), calledAs)
      if (binary) return binary
    }
  }
  return undefined
}

function inspect(path: string, calledAs: string): RedisBinary | undefined {
  try {
    accessSync(path, constants.X_OK)
  } catch {
    // Not in this folder.
    return undefined
  }
  const output = spawnSync(path, ['--version'], { argv0: calledAs, encoding: 'utf8', timeout: 5000 }).stdout ?? ''
  const version = /server v=([\d.]+)/.exec(output)?.[1]
  return version !== undefined && isNewEnough(version) ? { path, calledAs, version } : undefined
}

function isNewEnough(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  return major > oldestVersion[0] || (major === oldestVersion[0] && minor >= oldestVersion[1])
}
