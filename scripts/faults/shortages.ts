import { execFileSync } from 'node:child_process'
import { closeSync, openSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { calm, killMember, killService, type Scene, strike } from './scene.ts'
import { until } from './server-slot.ts'

const REFUSAL_TIMEOUT_MS = 45_000
const DRAIN_TIMEOUT_MS = 60_000
const HEADROOM_BYTES = 16 * 1024 * 1024
const PAD_BYTES = 6000
/** How long the door stays shut before the sinks come back. */
const REFUSING_MS = 4000

/**
 * Redis at its memory limit with the sinks away: every request must be refused with 503 and Retry-After, none acknowledged in vain.
 * Then only the sinks come back: the limit stays, so the buffer has to drain by itself.
 */
export async function memoryFull(scene: Scene): Promise<void> {
  const { stack, traffic } = scene
  const used = Number((await stack.buffer.info('memory')).match(/used_memory:(\d+)/)?.[1])
  // Twice what is used: a ladder that refuses by the share of memory has to find itself below its first rung again afterwards.
  const limit = Math.max(used * 2, used + HEADROOM_BYTES)
  const refusals = () =>
    Object.entries(traffic.news()?.answers ?? {}).reduce(
      (sum, [code, count]) => sum + (/^(503|429)/.test(code) ? count : 0),
      0,
    )
  await strike(scene, 'ingestRedis', async () => {
    const before = { refusals: refusals(), silent: traffic.news()?.refusalsWithoutRetryAfter ?? 0 }
    for (const sink of stack.sinks) {
      sink.slot.hold()
      killMember(sink)
    }
    await stack.buffer.config('SET', 'maxmemory', limit)
    traffic.pad(PAD_BYTES)
    const refused = await until(() => refusals() > before.refusals + 20, REFUSAL_TIMEOUT_MS)
    await delay(REFUSING_MS)
    traffic.pad(0)
    for (const { slot } of stack.sinks) slot.release()
    const endMs = Date.now()
    const drained = await until(async () => (await buffered(scene)) < used + HEADROOM_BYTES / 2, DRAIN_TIMEOUT_MS)
    const resumed = await traffic.moreAcknowledged(500, DRAIN_TIMEOUT_MS)
    await stack.buffer.config('SET', 'maxmemory', 0)
    const silent = (traffic.news()?.refusalsWithoutRetryAfter ?? 0) - before.silent
    return {
      kills: stack.sinks.length,
      landed: refused && drained && resumed && silent === 0,
      note: `${refusals() - before.refusals} refused, ${silent} of them without Retry-After; ${drained && resumed ? 'drained by itself' : 'DID NOT DRAIN'}`,
      endMs,
    }
  })
  await calm(scene)
}

async function buffered({ stack }: Scene): Promise<number> {
  return Number((await stack.buffer.info('memory')).match(/used_memory:(\d+)/)?.[1])
}

/** The disk of the append-only file is full: Redis cannot keep what it was sent, so it must not be acknowledged. */
export async function diskFull(scene: Scene): Promise<void> {
  const directory = join(scene.stack.directory, 'redis-ingest', 'appendonlydir')
  const shell = (script: string) => execFileSync('/bin/sh', ['-ec', script, directory], { stdio: 'pipe' })
  let mounted = false
  await strike(scene, 'ingestRedis', async () => {
    // Nothing else of this process runs until the next await, its supervisor of Redis included.
    const killed = killService(scene, 'ingestRedis')
    try {
      shell(`mv "$0" "$0.kept"; mkdir -m 700 "$0"
        size=$(( $(du -sk "$0.kept" | cut -f1) + 24576 ))
        mount -t tmpfs -o size=\${size}k tmpfs "$0" || { rmdir "$0"; mv "$0.kept" "$0"; exit 1; }
        cp -p "$0.kept"/* "$0"`)
      mounted = true
    } catch (error) {
      scene.skipped.push(`disk full: a small file system cannot be mounted here (${reasonOf(error)})`)
      return { kills: killed ? 1 : 0, landed: false, note: 'skipped' }
    }
    await calm(scene)
    const filler = join(directory, 'filler')
    fill(filler)
    const refused = await until(() => !isAnswering(scene), 15_000)
    await delay(REFUSING_MS)
    rmSync(filler)
    const endMs = Date.now()
    const resumed = await scene.traffic.moreAcknowledged(500, DRAIN_TIMEOUT_MS)
    return { kills: 1, landed: refused && resumed, note: 'Redis ends itself and is started again', endMs }
  })
  if (mounted) {
    killService(scene, 'ingestRedis')
    shell(`cp -p "$0"/* "$0.kept"; umount -l "$0"; rmdir "$0"; mv "$0.kept" "$0"`)
  }
  await calm(scene)
}

/** Writes until there is no room for a single byte more. */
function fill(path: string): void {
  const file = openSync(path, 'w')
  try {
    for (let size = 1024 * 1024; size >= 1; ) {
      try {
        writeSync(file, Buffer.alloc(size))
      } catch {
        size >>= 1
      }
    }
  } finally {
    closeSync(file)
  }
}

let lastAcknowledged = 0
let sameSinceMs = 0

/** False once nothing was acknowledged for a second. */
function isAnswering({ traffic }: Scene): boolean {
  const acknowledged = traffic.news()?.acknowledged ?? 0
  if (acknowledged !== lastAcknowledged) sameSinceMs = Date.now()
  lastAcknowledged = acknowledged
  return Date.now() - sameSinceMs < 1000
}

function reasonOf(error: unknown): string {
  const { stderr } = error as { stderr?: Buffer }
  return stderr?.toString().trim().split('\n').at(-1) ?? String(error)
}
