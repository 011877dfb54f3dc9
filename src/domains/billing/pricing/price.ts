import { type Static, Type } from '@sinclair/typebox'
import { DECIMAL_PATTERN } from '../money/decimal.ts'

export const MinorAmount = Type.String({
  pattern: '^(0|[1-9]\\d{0,14})$',
  description: 'Minor units of the currency (cents), as a string.',
  examples: ['4900'],
})
export const Quantity = Type.String({
  pattern: '^(0|[1-9]\\d{0,17})$',
  description: 'A whole number, as a string.',
  examples: ['5000000'],
})
const PositiveQuantity = Type.String({
  pattern: '^[1-9]\\d{0,17}$',
  description: 'A whole number above 0, as a string.',
  examples: ['1000'],
})
const UnitAmount = Type.String({
  pattern: DECIMAL_PATTERN,
  description:
    'Minor units of the currency for one unit, with up to 12 digits after the point: 0.0035 is 35 USD for a million.',
  examples: ['0.0035'],
})

const Tier = Type.Object(
  {
    upTo: Type.Union([PositiveQuantity, Type.Null()], {
      description: 'The last unit of the tier, counted from the first that is not included; null in the last tier.',
    }),
    unitAmount: UnitAmount,
    flatAmount: Type.Optional(MinorAmount),
  },
  { additionalProperties: false },
)
export type Tier = Static<typeof Tier>

const Common = {
  included: Type.Optional(Quantity),
  minimum: Type.Optional(MinorAmount),
}
const Tiers = Type.Array(Tier, { minItems: 1, maxItems: 50 })
const priceModel = <const Model extends string, Fields extends Parameters<typeof Type.Object>[0]>(
  model: Model,
  fields: Fields,
  description: string,
) => Type.Object({ model: Type.Literal(model), ...fields, ...Common }, { additionalProperties: false, description })

/** How a quantity becomes an amount. `included` units cost nothing and come first; `minimum` is the least that is billed. */
export const Price = Type.Union(
  [
    priceModel('flat', { amount: MinorAmount }, 'The same whatever is used.'),
    priceModel('perUnit', { unitAmount: UnitAmount }, 'The same for each unit.'),
    priceModel('graduated', { tiers: Tiers }, 'Each unit costs what its own tier says.'),
    priceModel('volume', { tiers: Tiers }, 'All units cost what the tier of the last one says.'),
    priceModel(
      'package',
      { packageSize: PositiveQuantity, packageAmount: MinorAmount },
      'Whole packages; one that is begun counts.',
    ),
  ],
  { description: 'How a quantity becomes an amount; `included` units come first and cost nothing.' },
)
export type Price = Static<typeof Price>
