import { type Static, type TString, Type } from '@sinclair/typebox'

export const OPERATORS = [
  'eq',
  'neq',
  'in',
  'notIn',
  'contains',
  'notContains',
  'startsWith',
  'endsWith',
  'gt',
  'gte',
  'lt',
  'lte',
  'isSet',
  'isNotSet',
] as const
export type Operator = (typeof OPERATORS)[number]

/** One of these strings. Unlike a union of literals, a wrong value is one fault and not one per literal. */
export function OneOf<const T extends string>(values: readonly T[], options: { description: string; default?: T }) {
  return Type.String({ ...options, enum: [...values] }) as TString & { static: T }
}

export const FieldName = Type.String({
  minLength: 1,
  maxLength: 500,
  description:
    'event, type, userId, anonymousId, groupId, distinctId, messageId, timestamp, receivedAt; what is added on arrival: geo.country, .region, .city, device.type, .browser, .browserVersion, .os, .osVersion, source.channel, .referrerDomain, .utmSource, .utmMedium, .utmCampaign, .utmTerm, .utmContent, ip, isBot, botSignals; or a path that begins with properties, traits or context. A dot steps into an object; write `\\.` for a dot inside of a name.',
  examples: ['properties.currency', 'geo.country', 'context.page.url', 'userId'],
})

const FILTER_DESCRIPTION = `Numbers compare with JSON numbers, strings with strings and booleans with booleans: \`"5"\` and \`5\` are not equal.
\`eq\`, \`neq\`, \`in\`, \`notIn\`: equality. \`contains\`, \`notContains\`, \`startsWith\`, \`endsWith\`: text, case-sensitive; \`contains\` also finds
a string that is an element of an array. \`gt\`, \`gte\`, \`lt\`, \`lte\`: order, of numbers or of strings by code point. \`isSet\`, \`isNotSet\` take
no value; null counts as not set. The negative operators (\`neq\`, \`notIn\`, \`notContains\`) also match events without the field.
\`timestamp\` and \`receivedAt\` take RFC 3339 or epoch milliseconds. \`isBot\` takes true or false and is always set.`

/** One condition on an event. What its operator means for its field is checked by `readFilters`, which names the faulty part. */
export const FilterSchema = Type.Object(
  {
    field: FieldName,
    operator: OneOf(OPERATORS, { description: 'How the field is compared.' }),
    value: Type.Optional(
      Type.Unknown({
        type: ['string', 'number', 'boolean', 'array'],
        description:
          'A string, number or boolean; for in and notIn an array of up to 500 of them; absent for isSet and isNotSet.',
        examples: ['EUR', 100, true, ['DE', 'FR']],
      }),
    ),
  },
  {
    additionalProperties: false,
    title: 'Filter',
    description: FILTER_DESCRIPTION,
    examples: [{ field: 'properties.currency', operator: 'eq', value: 'EUR' }],
  },
)
export type FilterSchema = Static<typeof FilterSchema>

export const Filters = Type.Array(FilterSchema, { maxItems: 20, description: 'All of them must hold.' })
