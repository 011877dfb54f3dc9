import { type Static, Type } from '@sinclair/typebox'
import { LimitQuery, PlainName } from '../../http/schemas.ts'

const EXAMPLE = {
  id: 'org_01jd7z3k9qf8v0m4c2t6n5w1xy',
  name: 'Acme',
  createdAt: '2026-01-31T12:00:00.000Z',
  members: 12,
  projects: 3,
  eventsThisMonth: 1_250_000,
  frozen: { since: '2026-02-01T09:30:00.000Z', reason: 'Unpaid since December.' },
}

export const OrganizationOverview = Type.Object(
  {
    id: Type.String(),
    name: Type.String(),
    createdAt: Type.String({ format: 'date-time' }),
    members: Type.Integer(),
    projects: Type.Integer(),
    eventsThisMonth: Type.Integer({ description: 'Counted events with a time in this month, UTC.' }),
    frozen: Type.Union([
      Type.Object({ since: Type.String({ format: 'date-time' }), reason: Type.String() }),
      Type.Null(),
    ]),
  },
  { description: 'The organization.', examples: [EXAMPLE] },
)
export type OrganizationOverview = Static<typeof OrganizationOverview>

export const OverviewPage = Type.Object(
  { data: Type.Array(OrganizationOverview), nextCursor: Type.Union([Type.String(), Type.Null()]) },
  { description: 'One page of organizations.', examples: [{ data: [EXAMPLE], nextCursor: null }] },
)

export const OverviewQuery = Type.Object(
  {
    limit: LimitQuery,
    cursor: Type.Optional(
      Type.String({ pattern: '^org_[0-9a-z]{26}$', description: 'The `nextCursor` of the page before.' }),
    ),
    name: Type.Optional(PlainName('A part of the name, in any letter case.', 'acme')),
  },
  { additionalProperties: false },
)

export const FreezeInput = Type.Object(
  {
    reason: Type.String({
      minLength: 1,
      maxLength: 500,
      pattern: '^[^\\p{Cc}]*[^\\p{Cc}\\s][^\\p{Cc}]*$',
      description: 'What the members of the organization are told.',
    }),
  },
  { additionalProperties: false, examples: [{ reason: 'Unpaid since December.' }] },
)
