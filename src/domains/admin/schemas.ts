import { type Static, type TSchema, Type } from '@sinclair/typebox'
import { LimitQuery, PlainName } from '../../http/schemas.ts'

const literals = <const Names extends readonly string[]>(names: Names) =>
  Type.Union(names.map((name) => Type.Literal(name as Names[number])))
const STATUSES = ['trialing', 'active', 'paused'] as const
const QUOTA_STATES = ['reached', 'stopped', 'held', 'resumed'] as const
const orNull = <Schema extends TSchema>(schema: Schema) => Type.Union([schema, Type.Null()])
const Time = Type.String({ format: 'date-time' })

const EXAMPLE = {
  id: 'org_01jd7z3k9qf8v0m4c2t6n5w1xy',
  name: 'Acme',
  createdAt: '2026-01-31T12:00:00.000Z',
  members: 12,
  projects: 3,
  eventsThisMonth: 1_250_000,
  frozen: { since: '2026-02-01T09:30:00.000Z', reason: 'Unpaid since December.' },
  subscription: {
    status: 'active' as const,
    plan: { key: 'pro', version: 1, isCustom: false },
    period: { startsAt: '2026-01-31T12:00:00.000Z', endsAt: '2026-02-28T12:00:00.000Z', events: 250_000 },
    quota: null,
  },
  unpaidInvoices: 2,
  overdueInvoices: 1,
  lastEventHour: '2026-02-01T09:00:00.000Z',
}

export const OrganizationOverview = Type.Object(
  {
    id: Type.String(),
    name: Type.String(),
    createdAt: Type.String({ format: 'date-time' }),
    members: Type.Integer(),
    projects: Type.Integer(),
    eventsThisMonth: Type.Integer({ description: 'Counted events with a time in this month, UTC.' }),
    frozen: orNull(Type.Object({ since: Time, reason: Type.String() })),
    subscription: orNull(
      Type.Object({
        status: literals(STATUSES),
        plan: Type.Object({ key: Type.String(), version: Type.Integer(), isCustom: Type.Boolean() }),
        period: orNull(
          Type.Object({
            startsAt: Time,
            endsAt: Time,
            events: Type.Integer({ description: 'Counted events with a time in the period.' }),
          }),
        ),
        quota: orNull(literals(QUOTA_STATES)),
      }),
    ),
    unpaidInvoices: Type.Integer(),
    overdueInvoices: Type.Integer({ description: 'Those of them that are past their due date.' }),
    lastEventHour: orNull(Time),
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
    planKey: Type.Optional(
      Type.String({ pattern: '^[a-z][a-z0-9-]{0,49}$', description: 'Those on a plan.', examples: ['pro'] }),
    ),
    status: Type.Optional(literals(STATUSES)),
    frozen: Type.Optional(Type.Boolean({ description: 'Those that are frozen, or that are not.' })),
    overdue: Type.Optional(Type.Boolean({ description: 'Those with an invoice past its due date, or without one.' })),
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
