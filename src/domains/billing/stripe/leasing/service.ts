import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { Postgres, TenantTx } from '../../../../infra/postgres.ts'
import { checkoutBusy } from '../errors.ts'
import type { HeldAccount, InLease } from '../ports.ts'
import * as store from '../store.ts'

/** Longer than all that is asked of Stripe under it takes; whoever died with it is waited for this long. */
const LEASE_MS = 120_000
const PATIENCE_MS = 40_000
const POLL_MS = 50

interface Dependencies {
  postgres: Postgres
  clock: () => Date
}

/**
 * Lets one at a time act for an organization at Stripe, in all processes: a row and no lock, since a transaction must not wait for
 * somebody else's server. Those who come meanwhile wait for their turn.
 */
export function createAccountLease({ postgres, clock }: Dependencies): InLease {
  return async (organizationId, work) => {
    const lease = { organizationId, holder: randomUUID() }
    const within = <R>(fn: (tx: TenantTx) => Promise<R>) => postgres.withTenant(organizationId, fn)
    await within((tx) => store.ensureAccount(tx, organizationId))
    const change: HeldAccount['change'] = async (what, more) =>
      within(async (tx) => {
        if (!(await store.changeAccount(tx, lease, what))) throw busy()
        await more?.(tx)
      })
    const deadlineMs = performance.now() + PATIENCE_MS
    for (;;) {
      const now = clock()
      const until = new Date(now.getTime() + LEASE_MS)
      const account = await within((tx) => store.takeLease(tx, { ...lease, now, until }))
      if (account) {
        try {
          return await work({ account, change })
        } finally {
          await within((tx) => store.changeAccount(tx, lease, { leaseHolder: null, leaseUntil: null }))
        }
      }
      if (performance.now() > deadlineMs) throw busy()
      await delay(POLL_MS * (1 + Math.random()))
    }
  }
}

const busy = () => checkoutBusy('Somebody of your organization is buying at this moment. Try again.')
