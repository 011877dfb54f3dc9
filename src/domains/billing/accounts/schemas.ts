import { type Static, type TSchema, Type } from '@sinclair/typebox'
import { Email } from '../../../http/schemas.ts'

const Nullable = <Schema extends TSchema>(schema: Schema) => Type.Union([schema, Type.Null()])
/** It stands on a line of an invoice, so nothing in it may end the line. */
const Line = (maxLength: number, description: string, example: string) =>
  Type.String({
    minLength: 1,
    maxLength,
    pattern: '^[^\\p{Cc}]*[^\\p{Cc}\\s][^\\p{Cc}]*$',
    description,
    examples: [example],
  })

const Details = {
  name: Line(200, 'Who is billed.', 'Acme GmbH'),
  address: Type.Array(Line(200, 'A line of the address.', 'Hauptstraße 1'), { maxItems: 6 }),
  email: Nullable(Email),
  taxId: Nullable(Line(50, 'As it stands on invoices.', 'DE123456789')),
  timeZone: Type.String({
    minLength: 1,
    maxLength: 64,
    description: 'IANA time zone. A subscription that begins from now on follows its clock.',
    examples: ['Europe/Berlin'],
  }),
}

const EXAMPLE = {
  name: 'Acme GmbH',
  address: ['Hauptstraße 1', '10115 Berlin', 'Germany'],
  email: 'invoices@acme.example',
  taxId: 'DE123456789',
  timeZone: 'Europe/Berlin',
}

const CouponView = Type.Object({
  code: Type.String(),
  summary: Type.String({ description: 'What it takes off, and for how long.' }),
  redeemedAt: Type.String({ format: 'date-time' }),
})

export const BillingAccount = Type.Object(
  {
    ...Details,
    name: Type.String({ description: 'Who is billed; empty until somebody says so.' }),
    currency: Nullable(Type.String({ description: 'Of the first plan that cost something.' })),
    taxBasisPoints: Type.Integer({ description: 'Tax on top of the prices, in hundredths of a percent.' }),
    coupons: Type.Array(CouponView),
  },
  {
    description: 'Who is billed, and how.',
    examples: [
      {
        ...EXAMPLE,
        currency: 'USD',
        taxBasisPoints: 1900,
        coupons: [{ code: 'WELCOME', summary: '20 % off for 3 periods', redeemedAt: '2026-01-31T12:00:00.000Z' }],
      },
    ],
  },
)
export type BillingAccount = Static<typeof BillingAccount>

export const BillingAccountChange = Type.Partial(Type.Object(Details), {
  additionalProperties: false,
  minProperties: 1,
  examples: [EXAMPLE],
})
export type BillingAccountChange = Static<typeof BillingAccountChange>
