import { Type } from '@sinclair/typebox'

const Reason = Type.String({
  minLength: 1,
  maxLength: 500,
  pattern: '^[^\\p{Cc}]*[^\\p{Cc}\\s][^\\p{Cc}]*$',
  description: 'What the members of the organization are told.',
})
const Amount = Type.String({
  pattern: '^[1-9]\\d{0,14}$',
  description: 'Minor units of the currency, as a string.',
  examples: ['1000'],
})

export const PaymentInput = Type.Object(
  {
    reference: Type.String({
      minLength: 1,
      maxLength: 200,
      pattern: '^[^\\p{Cc}]+$',
      description: 'What the payment is found by, as the one of a bank transfer. It counts once.',
    }),
  },
  { additionalProperties: false, examples: [{ reference: 'Transfer of 2026-02-10' }] },
)

export const ReasonInput = Type.Object(
  { reason: Reason },
  { additionalProperties: false, examples: [{ reason: 'Made out to the wrong company.' }] },
)

export const CreditNoteInput = Type.Object(
  { amount: Amount, reason: Reason },
  { additionalProperties: false, examples: [{ amount: '1000', reason: 'An outage of two days.' }] },
)

export const CreditInput = Type.Object(
  {
    amount: Type.String({
      pattern: '^-?[1-9]\\d{0,14}$',
      description: 'Minor units of the currency, as a string; a negative amount takes credit back.',
      examples: ['5000'],
    }),
    currency: Type.String({ pattern: '^[A-Z]{3}$', description: 'ISO 4217.', examples: ['USD'] }),
    reason: Reason,
  },
  { additionalProperties: false, examples: [{ amount: '5000', currency: 'USD', reason: 'With our thanks.' }] },
)

const CREDIT_EXAMPLE = {
  id: 'crd_01jd7z3k9qf8v0m4c2t6n5w1xy',
  amount: '5000',
  balance: '5000',
  currency: 'USD',
  reason: 'With our thanks.',
}
export const CreditEntry = Type.Object(
  {
    id: Type.String(),
    amount: Type.String(),
    balance: Type.String({ description: 'What there is in credit now.' }),
    currency: Type.String(),
    reason: Type.String(),
  },
  { description: 'The entry.', examples: [CREDIT_EXAMPLE] },
)
