import { invalidRequest } from '../../../errors.ts'
import type { Acting } from '../../../http/acting.ts'
import { append } from '../../../infra/outbox.ts'
import type { Postgres, TenantTx } from '../../../infra/postgres.ts'
import { record } from '../../audit/index.ts'
import { QUOTA_POLICY_CHANGED } from '../fact-kinds.ts'
import type { BillingAccount, BillingAccountChange } from './schemas.ts'
import { type AccountRow, findAccount, lockAccount, updateAccount } from './store.ts'

export type AccountsService = ReturnType<typeof createAccountsService>

interface Dependencies {
  postgres: Postgres
  /** Makes sure that there is an account: one that is older than billing has none. */
  ensure: (organizationId: string) => Promise<unknown>
  couponsOf: (tx: TenantTx, organizationId: string) => Promise<BillingAccount['coupons']>
  /** Does something while nobody buys where no tax is collected. Throws 409 where somebody has. */
  whileUnsold: <T>(organizationId: string, work: () => Promise<T>) => Promise<T>
}

/** What only the operator sets. */
export interface Terms {
  taxBasisPoints?: number
  limitOverride?: { perPeriod: string | null; mode: 'hard' | 'soft' | 'hold' | 'sample' } | null
}

/** Who is billed, and how. */
export function createAccountsService({ postgres, ensure, couponsOf, whileUnsold }: Dependencies) {
  const view = async (tx: TenantTx, row: AccountRow): Promise<BillingAccount> => {
    const { name, address, email, taxId, timeZone, currency, taxBasisPoints, organizationId } = row
    const coupons = await couponsOf(tx, organizationId)
    return { name, address, email, taxId, timeZone, currency, taxBasisPoints, coupons }
  }

  async function change(
    organizationId: string,
    { action, values, by, reason }: { action: string; values: Partial<AccountRow>; by: Acting; reason?: string },
  ): Promise<BillingAccount> {
    await ensure(organizationId)
    return postgres.withTenant(organizationId, async (tx) => {
      const before = await lockAccount(tx, organizationId)
      const after = await updateAccount(tx, organizationId, values)
      if (!before || !after) throw new Error('the billing account is not there')
      if ('limitOverride' in values) await append(tx, { organizationId, kind: QUOTA_POLICY_CHANGED, payload: {} })
      const shown = await view(tx, after)
      const target = { kind: 'billing_account', id: organizationId }
      const difference = differenceOf(before, after, values)
      if (difference) {
        const after = { ...difference.after, ...(reason !== undefined && { reason }) }
        await record(tx, { organizationId, by, action, target, before: difference.before, after })
      }
      return shown
    })
  }

  return {
    async read(organizationId: string): Promise<BillingAccount> {
      await ensure(organizationId)
      return postgres.withTenant(organizationId, async (tx) => {
        const row = await findAccount(tx, organizationId)
        if (!row) throw new Error('the billing account is not there')
        return view(tx, row)
      })
    },

    async changeAccount(organizationId: string, values: BillingAccountChange, by: Acting): Promise<BillingAccount> {
      if (values.timeZone !== undefined) assertTimeZone(values.timeZone)
      return change(organizationId, { action: 'billing_account.changed', values, by })
    },

    /** For an operator, who gives a reason that the members of the organization read. Throws 409 for a tax that nobody would collect. */
    setTerms: (organizationId: string, values: Terms, by: Acting, reason: string): Promise<BillingAccount> => {
      const set = () => change(organizationId, { action: 'billing_terms.changed', values, by, reason })
      return values.taxBasisPoints ? whileUnsold(organizationId, set) : set()
    },
  }
}

/** The fields that are not the same; undefined when all are. */
function differenceOf(before: AccountRow, after: AccountRow, values: object) {
  const names = Object.keys(values) as (keyof AccountRow)[]
  const changed = names.filter((name) => JSON.stringify(before[name]) !== JSON.stringify(after[name]))
  const pick = (row: AccountRow) => Object.fromEntries(changed.map((name) => [name, row[name]]))
  return changed.length === 0 ? undefined : { before: pick(before), after: pick(after) }
}

function assertTimeZone(timeZone: string): void {
  try {
    Temporal.Now.zonedDateTimeISO(timeZone)
  } catch {
    const errors = [{ path: '/timeZone', message: 'is not an IANA time zone' }]
    throw invalidRequest('The time zone is not known.', { errors })
  }
}
