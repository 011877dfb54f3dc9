import { insertTokenOf, poisonToken } from './poison.ts'
import type { Link, Trap } from './proxy.ts'
import { calm, killMember, killService, type Scene, strike } from './scene.ts'

const TRAP_TIMEOUT_MS = 15_000

/** The script of an admission, which names its organization. */
const isAdmission = (chunk: Buffer) => /evalsha|eval|fcall/i.test(chunk.toString('latin1')) && chunk.includes('org_')
const isInsert = (chunk: Buffer) => /INSERT(\+|%20| )INTO(\+|%20| )events/i.test(chunk.toString('latin1'))

/** C1: the API dies with the script under way and not arrived. C2: with its answer arrived and not read. */
export function apiDies(moment: 'head' | 'reply') {
  return async (scene: Scene): Promise<void> => {
    const api = scene.random.pick(scene.stack.apis)
    await strike(scene, api.slot.name, async () => {
      const landed = await api.buffer.trap(
        {
          request: isAdmission,
          moment,
          act: () => {
            killMember(api)
            return 'drop'
          },
        },
        TRAP_TIMEOUT_MS,
      )
      return { kills: landed ? 1 : 0, landed }
    })
    await calm(scene)
  }
}

/** C3: Redis dies with an admission's script just sent to it. C4: with the answer on its way, and never seen. */
export function bufferDies(moment: 'head' | 'reply') {
  return (scene: Scene) =>
    atMoment(scene, 'ingestRedis', [scene.random.pick(scene.stack.apis).buffer], {
      request: isAdmission,
      moment,
      afterMs: moment === 'head' ? scene.random.next() * 3 : 0,
    })
}

/** C9 and C10: ClickHouse dies while it makes an insert durable, or with the answer on its way, and never seen. */
export function storeDies(moment: 'end' | 'reply') {
  return (scene: Scene) =>
    atMoment(
      scene,
      'clickhouse',
      scene.stack.sinks.map(({ store }) => store),
      { request: isInsert, moment, afterMs: moment === 'end' ? scene.random.next() * 40 : 0 },
    )
}

async function atMoment(
  scene: Scene,
  service: 'ingestRedis' | 'clickhouse',
  links: Link[],
  { request, moment, afterMs }: Pick<Trap, 'request' | 'moment'> & { afterMs: number },
): Promise<void> {
  await strike(scene, service, async () => {
    const landed = await firstOf(links, {
      request,
      moment,
      act: () => {
        if (moment === 'reply') killService(scene, service)
        else setTimeout(() => killService(scene, service), afterMs)
        return moment === 'reply' ? 'drop' : 'pass'
      },
    })
    return { kills: landed ? 1 : 0, landed, note: moment === 'reply' ? undefined : `after ${afterMs.toFixed(1)} ms` }
  })
  await calm(scene)
}

/**
 * C9 made certain: ClickHouse knows the token of an insert although its rows are absent, as after a crash between its log of tokens
 * and the part. The insert is cut before it arrives, and the rig spends its token on rows of nobody.
 */
export async function tokenWithoutRows(scene: Scene): Promise<void> {
  await strike(scene, 'clickhouse', async () => {
    let spent: Promise<boolean> | undefined
    const links = scene.stack.sinks.map(({ store }) => store)
    const landed = await firstOf(links, {
      request: isInsert,
      moment: 'head',
      act: ({ chunk }) => {
        const token = insertTokenOf(chunk)
        spent = token === undefined ? undefined : poisonToken(scene.stack.clickhouseUrl, token)
        return 'drop'
      },
    })
    return { kills: 0, landed: landed && (await spent) === true }
  })
  await calm(scene)
}

/** One trap on several links: it acts on the first that it fits. */
async function firstOf(links: Link[], trap: Trap): Promise<boolean> {
  let isSprung = false
  const once: Trap = {
    ...trap,
    act: (exchange) => {
      if (isSprung) return 'pass'
      isSprung = true
      return trap.act(exchange)
    },
  }
  await Promise.race(links.map((link) => link.trap(once, TRAP_TIMEOUT_MS)))
  return isSprung
}
