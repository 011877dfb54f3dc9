import { type Static, Type } from '@sinclair/typebox'

const integer = (defaultValue: number, minimum: number, maximum: number, description: string) =>
  Type.Integer({ default: defaultValue, minimum, maximum, description })

/** The variables of the environment that say how organizations are billed, and by whom. */
export const BILLING_VARIABLES = {
  METERHOUSE_DEFAULT_PLAN: Type.String({
    default: 'free',
    pattern: '^[a-z][a-z0-9-]{0,49}$',
    description: 'Key of the plan that an organization is on which has chosen none.',
  }),
  METERHOUSE_SELLER_NAME: Type.String({ default: 'Meterhouse', minLength: 1, description: 'Who invoices are from.' }),
  METERHOUSE_SELLER_ADDRESS: Type.String({
    default: '',
    description: 'The address on invoices, its lines separated by |.',
  }),
  METERHOUSE_SELLER_TAX_ID: Type.String({ default: '', description: 'The tax id on invoices.' }),
  METERHOUSE_INVOICE_PREFIX: Type.String({
    default: 'INV-',
    pattern: '^[A-Za-z0-9-]{1,12}$',
    description: 'What the numbers of invoices begin with. Each prefix has a sequence of its own.',
  }),
  METERHOUSE_CREDIT_NOTE_PREFIX: Type.String({
    default: 'CRN-',
    pattern: '^[A-Za-z0-9-]{1,12}$',
    description: 'The same for credit notes.',
  }),
  METERHOUSE_INVOICE_DUE_DAYS: integer(30, 0, 365, 'Days from the issue of an invoice until it is to be paid.'),
  METERHOUSE_INVOICE_GRACE_HOURS: integer(
    24,
    1,
    720,
    'Hours after the end of a period in which its events may still come and be on its invoice.',
  ),
}

const Variables = Type.Object(BILLING_VARIABLES)

/** The same as the program has them. */
export function groupBilling(env: Static<typeof Variables>) {
  return {
    billing: { defaultPlanKey: env.METERHOUSE_DEFAULT_PLAN },
    invoices: {
      seller: {
        name: env.METERHOUSE_SELLER_NAME,
        address: env.METERHOUSE_SELLER_ADDRESS.split('|').flatMap((line) => line.trim() || []),
        taxId: env.METERHOUSE_SELLER_TAX_ID || null,
      },
      numberPrefix: env.METERHOUSE_INVOICE_PREFIX,
      creditNotePrefix: env.METERHOUSE_CREDIT_NOTE_PREFIX,
      dueMs: env.METERHOUSE_INVOICE_DUE_DAYS * 86_400_000,
      graceMs: env.METERHOUSE_INVOICE_GRACE_HOURS * 3_600_000,
    },
  }
}
