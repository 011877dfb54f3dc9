import { type Static, Type } from '@sinclair/typebox'
import { PERMISSIONS, type Permission } from '../../http/access.ts'
import { Email, LimitQuery, OrganizationParams, PlainName } from '../../http/schemas.ts'
import { type OrganizationRole, ROLE_GRANTABLE, ROLES } from './roles.ts'

const ORGANIZATION_ID = 'org_01jd7z3k9qf8v0m4c2t6n5w1xy'
const NextCursor = Type.Union([Type.String(), Type.Null()])

const ROLE_ID = 'rol_01jd7z3k9qf8v0m4c2t6n5w1xy'
const RoleId = Type.String({ pattern: '^rol_[0-9a-z]{26}$', description: 'Id of a role.', examples: [ROLE_ID] })

export const Role = Type.Unsafe<string>(
  Type.Union([...ROLES.map((role) => Type.Literal(role)), RoleId], {
    description:
      'From the most to the least: owner, admin, developer, analyst, viewer; or the id of a role of the organization.',
    examples: ['developer'],
  }),
)

/** People are invited as one of the roles that every organization has; another can be given once they are there. */
const OfferedRole = Type.Unsafe<OrganizationRole>(
  Type.Union(
    ROLES.map((role) => Type.Literal(role)),
    { description: 'From the most to the least: owner, admin, developer, analyst, viewer.', examples: ['developer'] },
  ),
)

/** A page begins after an id, so a cursor is one. */
export const PageQuery = (prefix: string) =>
  Type.Object(
    {
      limit: LimitQuery,
      cursor: Type.Optional(
        Type.String({ pattern: `^${prefix}_[0-9a-z]{26}$`, description: 'The `nextCursor` of the page before.' }),
      ),
    },
    { additionalProperties: false },
  )

export const OrganizationInput = Type.Object(
  { name: PlainName('What the organization is called.', 'Acme') },
  { additionalProperties: false, examples: [{ name: 'Acme' }] },
)
export type OrganizationInput = Static<typeof OrganizationInput>

const RequiresSecondFactor = Type.Boolean({
  description: 'Whether only members with a second factor may do anything in the organization and its projects.',
})

export const OrganizationChange = Type.Partial(
  Type.Object({
    name: PlainName('What the organization is called.', 'Acme'),
    requiresSecondFactor: RequiresSecondFactor,
  }),
  { additionalProperties: false, minProperties: 1, examples: [{ requiresSecondFactor: true }] },
)
export type OrganizationChange = Static<typeof OrganizationChange>

const ORGANIZATION_EXAMPLE = {
  id: ORGANIZATION_ID,
  name: 'Acme',
  role: 'owner',
  requiresSecondFactor: false,
  createdAt: '2026-01-31T12:00:00.000Z',
  deletesAt: null,
  frozen: null,
}

export const OrganizationSchema = Type.Object(
  {
    id: Type.String(),
    name: Type.String(),
    role: Type.Unsafe<Static<typeof Role>>({ ...Role, description: 'The role of whoever asks.' }),
    requiresSecondFactor: RequiresSecondFactor,
    createdAt: Type.String({ format: 'date-time' }),
    deletesAt: Type.Unsafe<string | null>({
      type: ['string', 'null'],
      format: 'date-time',
      description: 'When it is deleted for good, if an owner has asked for that.',
    }),
    frozen: Type.Union(
      [Type.Object({ since: Type.String({ format: 'date-time' }), reason: Type.String() }), Type.Null()],
      {
        description: 'Since when and why the operator of the platform has stopped it; null when it goes on.',
      },
    ),
  },
  { description: 'The organization.', examples: [ORGANIZATION_EXAMPLE] },
)
export type Organization = Static<typeof OrganizationSchema>

export const OrganizationPage = Type.Object(
  { data: Type.Array(OrganizationSchema), nextCursor: NextCursor },
  { description: 'One page of organizations.', examples: [{ data: [ORGANIZATION_EXAMPLE], nextCursor: null }] },
)

export const MemberParams = Type.Composite([
  OrganizationParams,
  Type.Object({
    userId: Type.String({
      pattern: '^usr_[0-9a-z]{26}$',
      description: 'Id of the person.',
      examples: ['usr_01jd7z3k9qf8v0m4c2t6n5w1xy'],
    }),
  }),
])

const MEMBER_EXAMPLE = {
  userId: 'usr_01jd7z3k9qf8v0m4c2t6n5w1xy',
  name: 'Ada',
  email: 'ada@example.com',
  role: 'developer',
  joinedAt: '2026-01-31T12:00:00.000Z',
}

export const MemberSchema = Type.Object(
  {
    userId: Type.String(),
    name: Type.String(),
    email: Type.String(),
    role: Role,
    joinedAt: Type.String({ format: 'date-time' }),
  },
  { description: 'The member.', examples: [MEMBER_EXAMPLE] },
)
export type Member = Static<typeof MemberSchema>

export const MemberPage = Type.Object(
  { data: Type.Array(MemberSchema), nextCursor: NextCursor },
  { description: 'One page of members.', examples: [{ data: [MEMBER_EXAMPLE], nextCursor: null }] },
)

export const MemberChange = Type.Object(
  { role: Role },
  { additionalProperties: false, examples: [{ role: 'developer' }] },
)

export const Transfer = Type.Object(
  { userId: MemberParams.properties.userId },
  { additionalProperties: false, examples: [{ userId: MEMBER_EXAMPLE.userId }] },
)

export const Deletion = Type.Object(
  {
    name: Type.String({ maxLength: 100, description: 'The name of the organization, to be sure.', examples: ['Acme'] }),
  },
  { additionalProperties: false, examples: [{ name: 'Acme' }] },
)

export const InvitationInput = Type.Object(
  { email: Email, role: OfferedRole },
  { additionalProperties: false, examples: [{ email: 'ada@example.com', role: 'developer' }] },
)
export type InvitationInput = Static<typeof InvitationInput>

export const InvitationParams = Type.Composite([
  OrganizationParams,
  Type.Object({
    invitationId: Type.String({
      pattern: '^ivt_[0-9a-z]{26}$',
      description: 'Id of the invitation.',
      examples: ['ivt_01jd7z3k9qf8v0m4c2t6n5w1xy'],
    }),
  }),
])

const INVITATION_EXAMPLE = {
  id: 'ivt_01jd7z3k9qf8v0m4c2t6n5w1xy',
  email: 'ada@example.com',
  role: 'developer',
  invitedBy: 'usr_01jd7z3k9qf8v0m4c2t6n5w1xy',
  createdAt: '2026-01-31T12:00:00.000Z',
  expiresAt: '2026-02-07T12:00:00.000Z',
}

export const InvitationSchema = Type.Object(
  {
    id: Type.String(),
    email: Type.String(),
    role: OfferedRole,
    invitedBy: Type.String({ description: 'Id of the member who invites.' }),
    createdAt: Type.String({ format: 'date-time' }),
    expiresAt: Type.String({ format: 'date-time' }),
  },
  { description: 'The invitation.', examples: [INVITATION_EXAMPLE] },
)
export type Invitation = Static<typeof InvitationSchema>

export const InvitationPage = Type.Object(
  { data: Type.Array(InvitationSchema), nextCursor: NextCursor },
  { description: 'One page of invitations.', examples: [{ data: [INVITATION_EXAMPLE], nextCursor: null }] },
)

export const Acceptance = Type.Object(
  { token: Type.String({ pattern: '^[\\w-]{43}$', description: 'What the mailed link has after `#token=`.' }) },
  { additionalProperties: false },
)

export const ReceivedInvitation = Type.Object({
  id: Type.String(),
  organizationId: Type.String(),
  organizationName: Type.String(),
  inviterName: Type.String({ description: 'Who invites.' }),
  role: OfferedRole,
  expiresAt: Type.String({ format: 'date-time' }),
})
export type ReceivedInvitation = Static<typeof ReceivedInvitation>

export const ReceivedInvitationPage = Type.Object(
  { data: Type.Array(ReceivedInvitation), nextCursor: NextCursor },
  {
    description: 'One page of invitations to you.',
    examples: [
      {
        data: [
          {
            id: INVITATION_EXAMPLE.id,
            organizationId: 'org_01jd7z3k9qf8v0m4c2t6n5w1xy',
            organizationName: 'Acme',
            inviterName: 'Grace',
            role: 'developer',
            expiresAt: INVITATION_EXAMPLE.expiresAt,
          },
        ],
        nextCursor: null,
      },
    ],
  },
)

const Permissions = (permissions: readonly Permission[]) =>
  Type.Array(Type.Union(permissions.map((permission) => Type.Literal(permission))), {
    maxItems: PERMISSIONS.length,
    uniqueItems: true,
    description: 'What whoever has the role may do; `GET /v1/permissions` says what each means.',
  })

const RoleName = PlainName('What the role is called.', 'Data engineer')
const ROLE_INPUT_EXAMPLE = { name: 'Data engineer', permissions: ['projects:read', 'tracking_plan:write'] }

export const RoleInput = Type.Object(
  { name: RoleName, permissions: Permissions(ROLE_GRANTABLE) },
  { additionalProperties: false, examples: [ROLE_INPUT_EXAMPLE] },
)
export type RoleInput = Static<typeof RoleInput>

export const RoleChange = Type.Partial(RoleInput, {
  additionalProperties: false,
  minProperties: 1,
  examples: [{ permissions: ['projects:read'] }],
})
export type RoleChange = Static<typeof RoleChange>

export const RoleParams = Type.Composite([OrganizationParams, Type.Object({ roleId: RoleId })])

export const RoleSchema = Type.Object(
  {
    id: Role,
    name: Type.String(),
    builtIn: Type.Boolean({ description: 'Whether it is one of the roles that every organization has.' }),
    permissions: Permissions(PERMISSIONS),
    members: Type.Integer({ description: 'How many have it.' }),
  },
  {
    description: 'The role.',
    examples: [{ id: ROLE_ID, ...ROLE_INPUT_EXAMPLE, builtIn: false, members: 2 }],
  },
)
export type RoleView = Static<typeof RoleSchema>

export const RoleList = Type.Object(
  { data: Type.Array(RoleSchema) },
  {
    description: 'The roles, the built-in ones first.',
    examples: [{ data: [{ id: ROLE_ID, ...ROLE_INPUT_EXAMPLE, builtIn: false, members: 2 }] }],
  },
)

export const PermissionList = Type.Object(
  {
    data: Type.Array(
      Type.Object({
        permission: Type.Union(PERMISSIONS.map((permission) => Type.Literal(permission))),
        description: Type.String(),
        forKeys: Type.Boolean({ description: 'Whether API keys can have it as a scope.' }),
        forRoles: Type.Boolean({ description: 'Whether roles can have it.' }),
      }),
    ),
  },
  {
    description: 'All permissions.',
    examples: [
      {
        data: [
          { permission: 'query:read', description: 'See events and ask about them.', forKeys: true, forRoles: true },
        ],
      },
    ],
  },
)
