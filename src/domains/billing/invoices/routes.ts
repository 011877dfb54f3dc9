import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import type { FastifyReply } from 'fastify'
import { organizationScope } from '../../../http/access.ts'
import { OrganizationParams, problemResponses, timeToMs } from '../../../http/schemas.ts'
import { previewTimeInvalid } from '../errors.ts'
import type { MetersService } from '../meters/service.ts'
import { invoiceCsv } from './csv.ts'
import { invoicePdf } from './pdf.ts'
import {
  Invoice,
  InvoicePage,
  InvoiceParams,
  LineParams,
  LineParts,
  ListQuery,
  PartsQuery,
  Preview,
  PreviewQuery,
  Verification,
} from './schemas.ts'
import type { InvoicesService } from './service.ts'
import type { VerifyingService } from './verifying/service.ts'
import { partKey, toInvoice, toSummary } from './views.ts'

const INVOICES = '/v1/organizations/:organizationId/invoices'
const INVOICE = `${INVOICES}/:invoiceId`
const config = { access: 'billing:read', whileFrozen: true } as const
const tags = ['Billing']
const problems = problemResponses(400, 401, 403, 404, 409, 429, 503)
const CSV = {
  description: 'One line for each line of the invoice, after a line of names.',
  content: { 'text/csv': { schema: Type.Any({ examples: ['invoice,issued_at,…\r\n'] }) } },
}
const PDF = {
  description: 'The invoice as PDF.',
  content: { 'application/pdf': { schema: Type.Any({ examples: ['%PDF-1.3 …'] }) } },
}

interface Options {
  invoices: InvoicesService & VerifyingService
  meters: MetersService
}

export const invoiceRoutes: FastifyPluginAsyncTypebox<Options> = async (app, { invoices, meters }) => {
  app.get(
    INVOICES,
    {
      config,
      schema: {
        operationId: 'listInvoices',
        summary: 'List the invoices',
        description:
          'Newest first. A draft is what the invoice of a period that has just ended will come to; it has no number yet.',
        tags,
        params: OrganizationParams,
        querystring: ListQuery,
        response: { 200: InvoicePage, ...problems },
      },
    },
    async (request) => {
      const { data, nextCursor } = await invoices.list(organizationScope(request).organizationId, request.query)
      return { data: data.map(toSummary), nextCursor }
    },
  )

  app.get(
    `${INVOICES}/preview`,
    {
      config,
      schema: {
        operationId: 'previewInvoice',
        summary: 'See the next invoice',
        description: `The next invoice as it would be with what was received until the cut-off. For a period that is over it says what the final
invoice says but for number and dates. The price of the period that follows is on it once that has begun.`,
        tags,
        params: OrganizationParams,
        querystring: PreviewQuery,
        response: { 200: Preview, ...problems },
      },
    },
    (request) => {
      const { cutOff } = request.query
      const ms = cutOff === undefined ? undefined : timeToMs(cutOff)
      if (Number.isNaN(ms)) throw previewTimeInvalid('/querystring/cutOff is not a date that exists.')
      const { organizationId } = organizationScope(request)
      return invoices.preview(organizationId, { cutOff: ms === undefined ? undefined : new Date(ms) })
    },
  )

  app.get(
    INVOICE,
    {
      config,
      schema: {
        operationId: 'readInvoice',
        summary: 'Read an invoice',
        description: 'Everything that it says, and what became of it.',
        tags,
        params: InvoiceParams,
        response: { 200: Invoice, ...problems },
      },
    },
    async (request) =>
      toInvoice(await invoices.read(organizationScope(request).organizationId, request.params.invoiceId)),
  )

  app.get(
    `${INVOICE}/pdf`,
    {
      config,
      schema: {
        operationId: 'readInvoicePdf',
        summary: 'Get an invoice as PDF',
        description: 'The same invoice gives the same bytes.',
        tags,
        params: InvoiceParams,
        response: { 200: PDF, ...problems },
      },
    },
    async (request, reply) => {
      const { organizationId } = organizationScope(request)
      const { row, document } = await invoices.read(organizationId, request.params.invoiceId)
      const bytes = await invoicePdf(document, row)
      return asFile(reply, 'application/pdf', `${row.number ?? row.id}.pdf`).send(bytes)
    },
  )

  app.get(
    `${INVOICE}/csv`,
    {
      config,
      schema: {
        operationId: 'readInvoiceCsv',
        summary: 'Get the lines of an invoice as CSV',
        description:
          'RFC 4180, amounts in minor units. A cell that a spreadsheet would take for a formula begins with an apostrophe.',
        tags,
        params: InvoiceParams,
        response: { 200: CSV, ...problems },
      },
    },
    async (request, reply) => {
      const { organizationId } = organizationScope(request)
      const { row, document } = await invoices.read(organizationId, request.params.invoiceId)
      return asFile(reply, 'text/csv; charset=utf-8; header=present', `${row.number ?? row.id}.csv`).send(
        invoiceCsv(document),
      )
    },
  )

  app.get(
    `${INVOICE}/verify`,
    {
      config,
      schema: {
        operationId: 'verifyInvoice',
        summary: 'Compute an invoice again',
        description: `Runs the invoice once more from plan versions, charges and the events themselves, with the cut-off that it was issued
with, and compares the bytes. Where events have been erased since, it says so.`,
        tags,
        params: InvoiceParams,
        response: { 200: Verification, ...problems },
      },
    },
    (request) => invoices.verify(organizationScope(request).organizationId, request.params.invoiceId),
  )

  app.get(
    `${INVOICE}/lines/:position/hours`,
    {
      config,
      schema: {
        operationId: 'readInvoiceLineParts',
        summary: 'See what a line is made of',
        description: 'The hours, projects or events of a line, from exactly the events that it was measured from.',
        tags,
        params: LineParams,
        querystring: PartsQuery,
        response: { 200: LineParts, ...problems },
      },
    },
    async (request) => {
      const { organizationId } = organizationScope(request)
      const { invoiceId, position } = request.params
      const { by } = request.query
      const { line, question } = await invoices.measuredLine(organizationId, invoiceId, position)
      const { rows } = await meters.parts(organizationId, { ...question, by: [by] })
      const data = rows.map(({ keys, value, rowCount, contentHash }) => {
        return { key: partKey(by, keys[0] ?? ''), value, rowCount: rowCount.toString(), contentHash }
      })
      return { line, data }
    },
  )
}

/** Numbers and ids are plain ASCII, so that the name needs no quoting. */
const asFile = (reply: FastifyReply, type: string, name: string) =>
  reply.type(type).header('content-disposition', `attachment; filename="${name}"`)
