import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { organizationScope } from '../../../http/access.ts'
import { actingOf } from '../../../http/acting.ts'
import { perAddress } from '../../../http/limits.ts'
import { personOf } from '../../../http/person.ts'
import { OrganizationParams, problemResponses } from '../../../http/schemas.ts'
import {
  Acceptance,
  InvitationInput,
  InvitationPage,
  InvitationParams,
  InvitationSchema,
  OrganizationSchema,
  PageQuery,
  ReceivedInvitationPage,
} from '../schemas.ts'
import type { InvitationsService } from './service.ts'

interface InvitationRouteOptions {
  invitations: InvitationsService
}

const MAILS_PER_MINUTE = 30

/** What members do with the invitations of their organization. */
export const invitationRoutes: FastifyPluginAsyncTypebox<InvitationRouteOptions> = async (app, { invitations }) => {
  app.post(
    '/v1/organizations/:organizationId/invitations',
    {
      config: { access: 'members:write', rateLimit: perAddress('invitations', MAILS_PER_MINUTE) },
      schema: {
        operationId: 'inviteMember',
        summary: 'Invite somebody',
        description:
          'Mails a link that works once, for seven days, for the person of that address alone. Nobody invites to a role above their own. A member, and an address with an open invitation, are answered 409.',
        tags: ['Organizations'],
        params: OrganizationParams,
        body: InvitationInput,
        response: { 201: InvitationSchema, ...problemResponses(400, 401, 403, 404, 409, 413, 415, 429, 503) },
      },
    },
    async (request, reply) =>
      reply.code(201).send(await invitations.invite(organizationScope(request), request.body, actingOf(request))),
  )

  app.get(
    '/v1/organizations/:organizationId/invitations',
    {
      config: { access: 'members:read' },
      schema: {
        operationId: 'listInvitations',
        summary: 'List the open invitations',
        description: 'Who was invited and has not joined yet, oldest first.',
        tags: ['Organizations'],
        params: OrganizationParams,
        querystring: PageQuery('ivt'),
        response: { 200: InvitationPage, ...problemResponses(400, 401, 403, 404, 429, 503) },
      },
    },
    (request) => {
      const { limit, cursor: after = '' } = request.query
      return invitations.listInvitations(organizationScope(request), { limit, after })
    },
  )

  app.post(
    '/v1/organizations/:organizationId/invitations/:invitationId/resend',
    {
      config: { access: 'members:write', rateLimit: perAddress('invitations', MAILS_PER_MINUTE) },
      schema: {
        operationId: 'resendInvitation',
        summary: 'Send an invitation again',
        description: 'Mails the same link, which is then good for another seven days.',
        tags: ['Organizations'],
        params: InvitationParams,
        response: { 200: InvitationSchema, ...problemResponses(400, 401, 403, 404, 429, 503) },
      },
    },
    (request) => invitations.resend(organizationScope(request), request.params.invitationId, actingOf(request)),
  )

  app.delete(
    '/v1/organizations/:organizationId/invitations/:invitationId',
    {
      config: { access: 'members:write' },
      schema: {
        operationId: 'revokeInvitation',
        summary: 'Revoke an invitation',
        description: 'Its link stops working at once.',
        tags: ['Organizations'],
        params: InvitationParams,
        response: { 204: Type.Null({ description: 'Revoked.' }), ...problemResponses(400, 401, 403, 404, 429, 503) },
      },
    },
    async (request, reply) => {
      await invitations.revoke(organizationScope(request), request.params.invitationId, actingOf(request))
      return reply.code(204).send(null)
    },
  )
}

/** What whoever is invited does with theirs. */
export const receivedRoutes: FastifyPluginAsyncTypebox<InvitationRouteOptions> = async (app, { invitations }) => {
  app.post(
    '/v1/invitations/accept',
    {
      config: { access: 'self', rateLimit: perAddress('accept', 20) },
      schema: {
        operationId: 'acceptInvitation',
        summary: 'Join an organization',
        description:
          'Takes the token of the mailed link, once, from the person whose address it was sent to. To anybody else it is an unknown one (404).',
        tags: ['Organizations'],
        body: Acceptance,
        response: { 200: OrganizationSchema, ...problemResponses(400, 401, 403, 404, 409, 413, 415, 429, 503) },
      },
    },
    (request) => invitations.accept(request.body.token, personOf(request), actingOf(request)),
  )

  app.get(
    '/v1/me/invitations',
    {
      config: { access: 'self' },
      schema: {
        operationId: 'listReceivedInvitations',
        summary: 'List the invitations to you',
        description: 'Those to your address that can still be accepted, oldest first. The link is in the mail.',
        tags: ['Accounts'],
        querystring: PageQuery('ivt'),
        response: { 200: ReceivedInvitationPage, ...problemResponses(400, 401, 403, 429, 503) },
      },
    },
    (request) => {
      const { limit, cursor: after = '' } = request.query
      return invitations.listReceived(personOf(request).userId, { limit, after })
    },
  )
}
