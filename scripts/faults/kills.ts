import { setTimeout as delay } from 'node:timers/promises'
import { calm, killMember, killService, type Scene, signal, strike } from './scene.ts'
import type { ServiceName } from './stack.ts'

const SERVICES: readonly ServiceName[] = ['ingestRedis', 'clickhouse', 'postgres', 'redis']
const PAUSE_MEAN_MS = 900
const PAUSE_MAX_MS = 4000

interface Target {
  name: string
  kill: () => boolean
  pid: () => number | undefined
}

function targets(scene: Scene): Target[] {
  const { members } = scene.stack
  return [
    ...members.map((member) => ({ name: member.slot.name, kill: () => killMember(member), pid: member.slot.pid })),
    ...SERVICES.map((name) => ({
      name,
      kill: () => killService(scene, name),
      pid: () => scene.stack.pidOf(name),
    })),
  ]
}

/** `kill -9` on whatever chance says, not waiting for the last victim to be back. */
export async function killAtRandom(scene: Scene): Promise<void> {
  const target = scene.random.pick(targets(scene))
  await strike(scene, target.name, async () => {
    const landed = target.kill()
    return { kills: landed ? 1 : 0, landed }
  })
  await delay(Math.min(scene.random.exponential(PAUSE_MEAN_MS), PAUSE_MAX_MS))
}

/** A process that sleeps for a while and does not know it. */
export async function stopAtRandom(scene: Scene): Promise<void> {
  const target = scene.random.pick(targets(scene))
  const ms = scene.random.between(500, 7000)
  await strike(scene, target.name, async () => {
    const pid = target.pid()
    if (pid === undefined) return { kills: 0, landed: false }
    const landed = signal(pid, 'SIGSTOP')
    await delay(ms)
    signal(pid, 'SIGCONT')
    return { kills: 0, landed, note: `${ms} ms` }
  })
  await delay(500)
}

/** The store is away: its process is killed and nobody can connect; then all of what was buffered drains. */
export function clickhouseDown(downMs: number) {
  return async (scene: Scene): Promise<void> => {
    const { members } = scene.stack
    await strike(scene, 'clickhouse', async () => {
      for (const { store } of members) store.setWeather({ kind: 'refuse' })
      const landed = killService(scene, 'clickhouse')
      await delay(downMs)
      for (const { store } of members) store.setWeather({ kind: 'clear' })
      return { kills: landed ? 1 : 0, landed, note: `${downMs / 1000} s` }
    })
    await calm(scene)
  }
}
