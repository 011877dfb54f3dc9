import { createHash } from 'node:crypto'
import type { OrganizationScope, SessionPrincipal } from '../../../http/access.ts'
import type { Acting } from '../../../http/acting.ts'
import { newId } from '../../../ids.ts'
import { append } from '../../../infra/outbox.ts'
import type { Postgres, SystemTx, TenantTx } from '../../../infra/postgres.ts'
import { record } from '../../audit/index.ts'
import { alreadyInvited, alreadyMember, invitationNotFound } from '../errors.ts'
import { INVITED } from '../fact-kinds.ts'
import { type Alone, assertManages } from '../manages.ts'
import type { Invitation, InvitationInput, Organization, ReceivedInvitation } from '../schemas.ts'
import { joinOrganization } from '../store.ts'
import * as store from './store.ts'

const TTL_MS = 7 * 24 * 3_600_000

export type InvitationsService = ReturnType<typeof createInvitationsService>

interface Dependencies {
  postgres: Postgres
  alone: Alone
  /** Throws 409, inside the transaction that adds a member, when the organization may have no more of them. */
  roomFor: (organizationId: string) => Promise<(tx: TenantTx | SystemTx, count: () => Promise<number>) => Promise<void>>
  readOrganization: (scope: OrganizationScope) => Promise<Organization>
  /** Makes the token of an invitation of its id, for the link that is mailed. */
  tokenOf: (invitationId: string) => string
}

/** How people come into an organization: a member asks them by mail, and they say yes from the account of that address. */
export function createInvitationsService({ postgres, alone, roomFor, readOrganization, tokenOf }: Dependencies) {
  const theInvitation = async (tx: TenantTx, id: string) => {
    const row = await store.lockInvitation(tx, id)
    if (!row) throw noSuchInvitation()
    return row
  }
  const mail = (tx: TenantTx, organizationId: string, invitationId: string) =>
    append(tx, { organizationId, kind: INVITED, payload: { invitationId } })

  return {
    /** Invites an address. The mail follows; it holds the only copy of the token. */
    async invite(scope: OrganizationScope, { email, role }: InvitationInput, by: Acting): Promise<Invitation> {
      const { organizationId, userId: invitedBy } = scope
      const takeRoom = await roomFor(organizationId)
      return alone(scope, async (tx, own) => {
        assertManages(own, role)
        await takeRoom(tx, () => store.countMembers(tx, organizationId))
        if (await store.isMember(tx, email)) throw alreadyMember('Whoever has this address is a member already.')
        const id = newId('ivt')
        const [tokenHash, expiresAt] = [hashOf(tokenOf(id)), new Date(Date.now() + TTL_MS)]
        const made = { organizationId, id, email, role, tokenHash, invitedBy, expiresAt }
        const row = await store.insertInvitation(tx, made)
        if (!row) throw alreadyInvited('This address has an open invitation. Send that one again, or revoke it.')
        await mail(tx, organizationId, id)
        const target = { kind: 'invitation', id }
        await record(tx, { organizationId, by, action: 'member.invited', target, after: { email, role } })
        return toInvitation(row)
      })
    },

    async listInvitations({ organizationId }: OrganizationScope, page: { limit: number; after: string }) {
      const rows = await postgres.withTenant(organizationId, (tx) =>
        store.listInvitations(tx, { ...page, limit: page.limit + 1 }),
      )
      const data = rows.slice(0, page.limit).map(toInvitation)
      return { data, nextCursor: rows.length > page.limit ? (data.at(-1)?.id ?? null) : null }
    },

    /** Mails the same link again, and lets it be good for another seven days. */
    resend: (scope: OrganizationScope, id: string, by: Acting): Promise<Invitation> =>
      alone(scope, async (tx, own) => {
        const row = await theInvitation(tx, id)
        assertManages(own, row.role)
        const { organizationId } = scope
        const expiresAt = new Date(Date.now() + TTL_MS)
        await store.extendInvitation(tx, id, expiresAt)
        await mail(tx, organizationId, id)
        const [target, { email, role }] = [{ kind: 'invitation', id }, row]
        await record(tx, { organizationId, by, action: 'invitation.resent', target, after: { email, role } })
        return toInvitation({ ...row, expiresAt })
      }),

    /** Takes an invitation back: its link stops working at once. */
    revoke: (scope: OrganizationScope, id: string, by: Acting): Promise<void> =>
      alone(scope, async (tx, own) => {
        const { email, role } = await theInvitation(tx, id)
        assertManages(own, role)
        await store.deleteInvitation(tx, id)
        const [target, { organizationId }] = [{ kind: 'invitation', id }, scope]
        await record(tx, { organizationId, by, action: 'invitation.revoked', target, before: { email, role } })
      }),

    /** Makes a member of the person who was invited, once. To everybody else the token is an unknown one. */
    async accept(token: string, person: SessionPrincipal, by: Acting): Promise<Organization> {
      const { userId } = person
      const invitedTo = await postgres.withSystem((tx) => store.findInvitedTo(tx, hashOf(token), userId))
      if (invitedTo === undefined) throw noSuchInvitation()
      const takeRoom = await roomFor(invitedTo)
      const organizationId = await postgres.withSystem(async (tx) => {
        const invitation = await store.takeInvitation(tx, hashOf(token), userId)
        if (!invitation) throw noSuchInvitation()
        const { organizationId, role, invitedBy, id } = invitation
        const joined = await joinOrganization(tx, { organizationId, id: newId('mem'), userId, role })
        if (!joined) throw alreadyMember('You are a member already.')
        // The one who joins is among them.
        await takeRoom(tx, async () => (await store.countMembers(tx, organizationId)) - 1)
        const target = { kind: 'member', id: userId }
        const after = { role, invitation: id, invitedBy }
        await record(tx, { organizationId, by, action: 'member.joined', target, after })
        return organizationId
      })
      return readOrganization({ organizationId, userId })
    },

    /** What awaits a person: they are in the mail, too, which has the token. */
    async listReceived(userId: string, page: { limit: number; after: string }) {
      const rows = await postgres.withSystem((tx) =>
        store.listInvitationsTo(tx, userId, { ...page, limit: page.limit + 1 }),
      )
      const data = rows.slice(0, page.limit).map(toReceived)
      return { data, nextCursor: rows.length > page.limit ? (data.at(-1)?.id ?? null) : null }
    },
  }
}

/** An open invitation with what its mail says, inside a transaction of the caller's. */
export const invitationToMail = (tx: SystemTx, id: string) => store.findInvitation(tx, id)

/** A fast hash is enough: what it hides cannot be guessed. */
const hashOf = (token: string): string => createHash('sha256').update(token).digest('base64url')

function toInvitation({ id, email, role, invitedBy, createdAt, expiresAt }: store.InvitationRow): Invitation {
  return { id, email, role, invitedBy, createdAt: createdAt.toISOString(), expiresAt: expiresAt.toISOString() }
}

function toReceived({ invitation, organizationName, inviterName }: store.NamedInvitation): ReceivedInvitation {
  const { id, organizationId, role, expiresAt } = invitation
  return { id, organizationId, organizationName, inviterName, role, expiresAt: expiresAt.toISOString() }
}

/** Of a token that is unknown, used up, too old or somebody else's: the four must look the same. */
const noSuchInvitation = () => invitationNotFound('There is no such invitation, or it is for another address.')
