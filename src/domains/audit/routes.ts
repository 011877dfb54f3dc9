import { Readable } from 'node:stream'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { organizationScope, projectScope } from '../../http/access.ts'
import { actingOf } from '../../http/acting.ts'
import { OrganizationParams, ProjectParams, problemResponses } from '../../http/schemas.ts'
import { EntryPage, EntryQuery, ExportQuery } from './schemas.ts'
import type { AuditService } from './service.ts'

const common = { tags: ['Audit log'], params: ProjectParams }
const inOrganization = { tags: ['Audit log'], params: OrganizationParams }
const problems = problemResponses(400, 401, 403, 404, 429, 503)
const CSV = {
  description: 'One line for each entry, after a line of names.',
  content: { 'text/csv': { schema: Type.Any({ examples: ['sequence,id,at,…\r\n'] }) } },
}

export const auditRoutes: FastifyPluginAsyncTypebox<{ audit: AuditService }> = async (app, { audit }) => {
  app.get(
    '/v1/projects/:projectId/audit-log',
    {
      config: { access: 'audit:read', whileFrozen: true },
      schema: {
        ...common,
        operationId: 'listAuditLog',
        summary: 'List what was done',
        description:
          'Who changed what in this project, when and from where, newest first. Entries cannot be changed or deleted, and each holds the hash of the one before.',
        querystring: EntryQuery,
        response: { 200: EntryPage, ...problems },
      },
    },
    (request) => audit.list(projectScope(request), request.query),
  )

  app.get(
    '/v1/projects/:projectId/audit-log/export',
    {
      config: { access: 'audit:read', whileFrozen: true },
      schema: {
        ...common,
        operationId: 'exportAuditLog',
        summary: 'Export what was done',
        description:
          'The same entries as CSV (RFC 4180), all of them, newest first. A cell that a spreadsheet would take for a formula begins with an apostrophe. The export is an entry itself.',
        querystring: ExportQuery,
        response: {
          200: CSV,
          ...problems,
        },
      },
    },
    async (request, reply) => {
      const lines = await audit.export(projectScope(request), request.query, actingOf(request))
      return asFile(reply).send(Readable.from(lines))
    },
  )

  app.get(
    '/v1/organizations/:organizationId/audit-log',
    {
      config: { access: 'audit:read', whileFrozen: true },
      schema: {
        ...inOrganization,
        operationId: 'listOrganizationAuditLog',
        summary: 'List what was done in an organization',
        description: 'The entries of all its projects and of what concerns its people and itself, newest first.',
        querystring: EntryQuery,
        response: { 200: EntryPage, ...problems },
      },
    },
    (request) => audit.list(organizationOf(request), request.query),
  )

  app.get(
    '/v1/organizations/:organizationId/audit-log/export',
    {
      config: { access: 'audit:read', whileFrozen: true },
      schema: {
        ...inOrganization,
        operationId: 'exportOrganizationAuditLog',
        summary: 'Export what was done in an organization',
        description: 'The same entries as CSV (RFC 4180), all of them, newest first. The export is an entry itself.',
        querystring: ExportQuery,
        response: { 200: CSV, ...problems },
      },
    },
    async (request, reply) => {
      const lines = await audit.export(organizationOf(request), request.query, actingOf(request))
      return asFile(reply).send(Readable.from(lines))
    },
  )
}

const asFile = (reply: FastifyReply) =>
  reply
    .type('text/csv; charset=utf-8; header=present')
    .header('content-disposition', 'attachment; filename="audit-log.csv"')

/** The whole organization, whoever asks. */
const organizationOf = (request: FastifyRequest) => ({ organizationId: organizationScope(request).organizationId })
