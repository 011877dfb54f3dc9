import type { Failpoint } from '../../src/infra/failpoints.ts'
import { calm, expireLeases, killMember, processState, type Scene, signal, strike } from './scene.ts'
import { until } from './server-slot.ts'
import type { Member } from './stack.ts'

const DEATH_TIMEOUT_MS = 20_000
const TAKE_OVER_TIMEOUT_MS = 15_000
/** For a process that was woken to find out that it is not the sink any more. */
const WAKING_MS = 2500

/** The sink dies at a named place, the other one takes over. `action` may depend on chance. */
export function sinkDies(name: Failpoint, action: (scene: Scene) => string = atPassage) {
  return async (scene: Scene): Promise<void> => {
    const [victim, heir] = chooseSinks(scene)
    await strike(scene, victim.slot.name, async () => {
      await armAlone(scene, victim, heir, `${name}=${action(scene)}`)
      const landed = await victim.slot.ends(DEATH_TIMEOUT_MS)
      await expireLeases(scene)
      heir.slot.release()
      return { kills: landed ? 3 : 2, landed }
    })
    await calm(scene)
  }
}

/** The process that keeps the bill dies at a named place of a recount. */
export function jobsDie(name: Failpoint) {
  return async (scene: Scene): Promise<void> => {
    const [jobs] = scene.stack.jobs
    if (!jobs) throw new Error('there is a jobs process')
    await strike(scene, jobs.slot.name, async () => {
      const before = jobs.slot.starts()
      jobs.slot.armNext(`${name}=kill`)
      const kills = killMember(jobs) ? 1 : 0
      await until(() => jobs.slot.starts() > before, DEATH_TIMEOUT_MS)
      const landed = await jobs.slot.ends(DEATH_TIMEOUT_MS)
      return { kills: kills + (landed ? 1 : 0), landed }
    })
    await calm(scene)
  }
}

/** The sink dies after writing a range down; its heir dies while it finds out what became of it; the next one finishes. */
export async function probeDies(scene: Scene): Promise<void> {
  const [victim, heir] = chooseSinks(scene)
  await strike(scene, heir.slot.name, async () => {
    await armAlone(scene, victim, heir, 'sink.sealed=kill')
    heir.slot.armNext('deposit.doubting=kill')
    const first = await victim.slot.ends(DEATH_TIMEOUT_MS)
    victim.slot.hold()
    await expireLeases(scene)
    heir.slot.release()
    await until(() => heir.slot.pid() !== undefined, DEATH_TIMEOUT_MS)
    const second = await heir.slot.ends(DEATH_TIMEOUT_MS)
    await expireLeases(scene)
    victim.slot.release()
    return { kills: 4, landed: first && second }
  })
  await calm(scene)
}

/** The sink sleeps at a named place for longer than its lease, wakes when another has gone on, and carries on as if nothing was. */
export function sinkSleeps(name: Failpoint) {
  return async (scene: Scene): Promise<void> => {
    const [victim, heir] = chooseSinks(scene)
    await strike(scene, victim.slot.name, async () => {
      await armAlone(scene, victim, heir, `${name}=stop@${scene.random.between(1, 4)}`)
      const pid = victim.slot.pid() ?? 0
      const landed = await until(() => processState(pid) === 'T', DEATH_TIMEOUT_MS)
      heir.slot.release()
      await expireLeases(scene)
      const started = Date.now()
      const wentOn = await until(async () => (await cursorMs(scene)) > started, TAKE_OVER_TIMEOUT_MS)
      signal(pid, 'SIGCONT')
      const endMs = Date.now()
      await until(() => false, WAKING_MS)
      return { kills: 2, landed: landed && wentOn, endMs }
    })
    await calm(scene)
  }
}

/** Sees to it that the victim is the only sink, and runs with the failpoint. */
async function armAlone(scene: Scene, victim: Member, heir: Member, failpoints: string): Promise<void> {
  heir.slot.hold()
  for (const { slot } of [victim, heir]) await until(() => slot.pid() !== undefined, 2000).then(() => undefined)
  victim.slot.armNext(failpoints)
  const before = victim.slot.starts()
  killMember(heir)
  killMember(victim)
  await until(() => victim.slot.starts() > before, DEATH_TIMEOUT_MS)
  await expireLeases(scene)
}

function chooseSinks({ stack, random }: Scene): [Member, Member] {
  const [first, second] = stack.sinks
  if (!first || !second) throw new Error('there are two sinks')
  return random.chance(0.5) ? [first, second] : [second, first]
}

function atPassage({ random }: Scene): string {
  return `kill@${random.between(1, 4)}`
}

/** The insert is on its way when the sink dies. */
export function inFlight({ random }: Scene): string {
  return `kill:${random.between(1, 25)}@${random.between(1, 4)}`
}

/** Time of the newest entry up to which the slowest shard is stored. */
async function cursorMs({ stack }: Scene): Promise<number> {
  const keys = await stack.buffer.keys('mh:*cursor*')
  const cursors = keys.length > 0 ? await stack.buffer.mget(...keys) : []
  return Math.min(...cursors.map((cursor) => Number(cursor?.split('-')[0] ?? 0)))
}
