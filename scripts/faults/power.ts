import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, statSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { calm, killMember, killService, processState, type Scene, strike } from './scene.ts'
import type { ServiceName } from './stack.ts'

/**
 * A disk that forgets: with this library before it, Redis notes after each fsync how long its append-only file then was, and a
 * power cut takes the file back to that. Everything that only the page cache held is gone, as it would be.
 */
const LIBRARY_SOURCE = fileURLToPath(new URL('fsync-notes.c', import.meta.url))
const NOTES = 'fsync-notes'
const SERVICES: readonly ServiceName[] = ['ingestRedis', 'clickhouse', 'redis', 'postgres']

/** To be called before the services start, which inherit this environment. Answers why it is not possible here, or undefined. */
export function prepareForgetting(directory: string): string | undefined {
  const library = join(directory, 'fsync-notes.so')
  try {
    execFileSync('cc', ['-shared', '-fPIC', '-O1', '-o', library, LIBRARY_SOURCE], { stdio: 'pipe' })
  } catch {
    return 'power cut: without a C compiler the page cache survives it, only the processes die'
  }
  process.env.LD_PRELOAD = library
  return undefined
}

/** C15: everything dies in one moment, and the append-only file with all that was not fsynced. */
export async function powerCut(scene: Scene): Promise<void> {
  const { stack, observer } = scene
  await strike(scene, 'everything', async () => {
    const redisPid = stack.pidOf('ingestRedis')
    let kills = 0
    for (const name of SERVICES) kills += killService(scene, name) ? 1 : 0
    for (const member of stack.members) kills += killMember(member) ? 1 : 0
    // Nothing else of this process runs meanwhile, its supervisor of Redis included.
    while (redisPid !== undefined && !['Z', undefined].includes(processState(redisPid))) pause(1)
    const forgotten = forget(join(stack.directory, 'redis-ingest'))
    observer.forgetCursors()
    const note = forgotten === undefined ? 'the page cache survived' : `${forgotten} bytes were not on the disk`
    return { kills, landed: redisPid !== undefined, note }
  })
  await calm(scene)
}

/** Takes the append-only file back to its last fsync; answers how many bytes that were, undefined without the library. */
function forget(directory: string): number | undefined {
  const notes = join(directory, NOTES)
  if (!existsSync(notes)) return undefined
  const [, length = '', path = ''] = readFileSync(notes, 'utf8').match(/^(\d+) (.*)\n/) ?? []
  const surplus = statSync(path).size - Number(length)
  if (surplus > 0) truncateSync(path, Number(length))
  return Math.max(0, surplus)
}

function pause(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
}
