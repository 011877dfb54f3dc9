import type { KeyPrincipal } from '../../../http/access.ts'
import type { Postgres } from '../../../infra/postgres.ts'
import { type KeyUse, writeKeyUses } from './store.ts'

const WRITE_INTERVAL_MS = 60_000
const BATCH = 1000

export type KeyUses = ReturnType<typeof createKeyUses>

interface Dependencies {
  postgres: Postgres
  /** Told of what could not be written; it is tried again with the next write. */
  onFault: (error: unknown) => void
}

/**
 * Remembers when keys were last used, and writes it down once a minute for all that were used since. No request waits for that, and what
 * a process knows is lost when it dies: the time of the last use may lag behind.
 */
export function createKeyUses({ postgres, onFault }: Dependencies) {
  let uses = new Map<string, KeyUse>()
  let timer: NodeJS.Timeout | undefined

  async function write(): Promise<void> {
    const pending = [...uses.values()]
    uses = new Map()
    for (let from = 0; from < pending.length; from += BATCH) {
      const batch = pending.slice(from, from + BATCH)
      try {
        await postgres.withSystem((tx) => writeKeyUses(tx, batch))
      } catch (error) {
        for (const use of pending.slice(from)) if (!uses.has(use.keyId)) uses.set(use.keyId, use)
        return onFault(error)
      }
    }
  }

  return {
    note({ organizationId, keyId }: KeyPrincipal, usedAtMs: number): void {
      const known = uses.get(keyId)
      if (known) known.usedAtMs = usedAtMs
      else uses.set(keyId, { organizationId, keyId, usedAtMs })
    },
    write,
    start(): void {
      timer = setInterval(write, WRITE_INTERVAL_MS)
    },
    /** Writes what there is; nothing is used any more. */
    async stop(): Promise<void> {
      clearInterval(timer)
      await write()
    },
  }
}
