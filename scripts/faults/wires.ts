import { setTimeout as delay } from 'node:timers/promises'
import type { Link, Weather } from './proxy.ts'
import { calm, type Scene, strike } from './scene.ts'

type WireFault = 'reset' | Exclude<Weather['kind'], 'clear'>

/** Disturbs one wire between a server process and the buffer or the store for a few seconds. */
export function disturb(kind: WireFault) {
  return async (scene: Scene): Promise<void> => {
    const { random, stack } = scene
    const wires = [...stack.apis, ...stack.sinks].flatMap(({ buffer, store }) => [buffer, buffer, store])
    const wire = random.pick(wires)
    await strike(scene, wire.name, async () => {
      await disturbOne(wire, kind, scene)
      return { kills: 0, landed: true }
    })
    await calm(scene)
  }
}

async function disturbOne(wire: Link, kind: WireFault, { random }: Scene): Promise<void> {
  if (kind === 'reset') {
    for (let times = 0; times < 10; times++) {
      wire.reset()
      await delay(random.between(20, 300))
    }
    return
  }
  wire.setWeather(weatherOf(kind, random.between(1, 60_000), random.between(50, 400)))
  await delay(random.between(1500, 6500))
  wire.setWeather({ kind: 'clear' })
}

function weatherOf(kind: Exclude<WireFault, 'reset'>, afterBytes: number, ms: number): Weather {
  if (kind === 'cut') return { kind, afterBytes }
  return kind === 'latency' ? { kind, ms } : { kind }
}
