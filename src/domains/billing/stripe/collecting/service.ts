import { Problem } from '../../../../errors.ts'
import type { Postgres } from '../../../../infra/postgres.ts'
import type { InvoiceDocument } from '../../invoices/document.ts'
import type { StripeInvoice } from '../records.ts'
import * as store from './store.ts'

/** How far Stripe's clock and ours may be apart; periods are days at least. */
const TOLERANCE_MS = 300_000

interface Dependencies {
  postgres: Postgres
  pay: (payment: {
    organizationId: string
    invoiceId: string
    provider: 'stripe'
    reference: string
  }) => Promise<unknown>
  /** Told of an invoice that Stripe has collected otherwise than ours says: somebody has to look. */
  onDiffering: (found: { invoiceId: string; stripeInvoiceId: string; reason: string }) => void
}

/**
 * Settles what Stripe was to collect. Our invoice and Stripe's are one claim, of which ours is the proof: it is paid when Stripe's over the
 * same period is, and only if both come to the same. Either may be there first, so each of them has this done. Safe to repeat.
 */
export function createCollecting({ postgres, pay, onDiffering }: Dependencies) {
  async function settle(
    organizationId: string,
    ours: { id: string; total: bigint; currency: string },
    theirs: StripeInvoice[],
  ) {
    const same = theirs.find(({ total, currency }) => total === ours.total && currency === ours.currency)
    const found = { invoiceId: ours.id, stripeInvoiceId: (same ?? theirs[0])?.id ?? '' }
    if (!same) return onDiffering({ ...found, reason: 'amount' })
    try {
      await pay({ organizationId, invoiceId: ours.id, provider: 'stripe', reference: same.id })
    } catch (error) {
      // A refusal stays one however often it is asked; anything else passes, and the fact is told again.
      if (!(error instanceof Problem) || error.status >= 500) throw error
      onDiffering({ ...found, reason: error.code })
    }
  }

  return async (organizationId: string): Promise<void> => {
    const { open, collected } = await postgres.withTenant(organizationId, async (tx) => ({
      open: await store.listToCollect(tx, organizationId),
      collected: await store.listCollected(tx, organizationId),
    }))
    for (const { document, ...ours } of open) {
      const billedAt = billedAtOf(JSON.parse(document) as InvoiceDocument)
      const theirs = collected.filter(({ periodEndsAt }) => Math.abs(periodEndsAt.getTime() - billedAt) < TOLERANCE_MS)
      if (theirs.length > 0) await settle(organizationId, ours, theirs)
    }
  }
}

/** When Stripe makes its invoice of the same: at the end of a period, and where there was none before, at the start of the first. */
function billedAtOf({ period, lines }: InvoiceDocument): number {
  const base = lines.find(({ kind }) => kind === 'base')
  return Date.parse(period?.endsAt ?? base?.from ?? '')
}
