const HALF_LIFE_MS = 10_000
const IDLE_MS = 60_000
const SWEEP_INTERVAL_MS = 5000

interface Usage {
  bytes: number
  atMs: number
}

/**
 * Who sends how much of what this process has taken lately: bytes per organization that lose half of their weight every ten seconds.
 * The fair share is the same for every organization that sent anything within a minute. Times are those of performance.now().
 */
export function createFairShare() {
  const usages = new Map<string, Usage>()
  const total: Usage = { bytes: 0, atMs: 0 }
  let sweptAtMs = 0

  function sweep(nowMs: number): void {
    sweptAtMs = nowMs
    for (const [organizationId, { atMs }] of usages) if (nowMs - atMs > IDLE_MS) usages.delete(organizationId)
  }

  return {
    note(organizationId: string, bytes: number, nowMs: number): void {
      const usage = usages.get(organizationId) ?? { bytes: 0, atMs: nowMs }
      add(usage, bytes, nowMs)
      add(total, bytes, nowMs)
      usages.set(organizationId, usage)
      if (nowMs - sweptAtMs > SWEEP_INTERVAL_MS) sweep(nowMs)
    },

    /** What the organization uses as a multiple of the fair share; 0 for one that has sent nothing lately. */
    shareOf(organizationId: string, nowMs: number): number {
      const usage = usages.get(organizationId)
      const all = decayed(total, nowMs)
      return usage === undefined || all <= 0 ? 0 : (decayed(usage, nowMs) * usages.size) / all
    },
  }
}
export type FairShare = ReturnType<typeof createFairShare>

const decayed = ({ bytes, atMs }: Usage, nowMs: number) => bytes * 2 ** ((atMs - nowMs) / HALF_LIFE_MS)

function add(usage: Usage, bytes: number, nowMs: number): void {
  usage.bytes = decayed(usage, nowMs) + bytes
  usage.atMs = nowMs
}
