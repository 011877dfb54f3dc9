import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import { actingOf } from '../../../../http/acting.ts'
import { OrganizationParams, problemResponses } from '../../../../http/schemas.ts'
import { CreditNote, Invoice, InvoiceParams } from '../schemas.ts'
import type { InvoicesService } from '../service.ts'
import { toCreditNote, toInvoice } from '../views.ts'
import { CreditEntry, CreditInput, CreditNoteInput, PaymentInput, ReasonInput } from './schemas.ts'
import type { SettlingService, Which } from './service.ts'

const ORGANIZATION = '/v1/admin/organizations/:organizationId'
const INVOICE = `${ORGANIZATION}/invoices/:invoiceId`
const config = { access: 'operator' } as const
const tags = ['Platform']
const params = InvoiceParams
const problems = problemResponses(400, 404, 409, 413, 415, 422, 429, 503)
const OPERATOR = 'For the operator of the platform; to everybody else the route is not there.'

interface Options {
  settling: SettlingService & Pick<InvoicesService, 'read'>
}

export const settlingRoutes: FastifyPluginAsyncTypebox<Options> = async (app, { settling }) => {
  const read = async ({ organizationId, invoiceId }: Which) => toInvoice(await settling.read(organizationId, invoiceId))
  const common = { tags, params, response: { 200: Invoice, ...problems } }

  app.post(
    `${INVOICE}/pay`,
    {
      config,
      schema: {
        ...common,
        operationId: 'adminPayInvoice',
        summary: 'Note that an invoice was paid',
        description: `The whole of what is still to be paid. The same reference told again changes nothing. ${OPERATOR}`,
        body: PaymentInput,
      },
    },
    async (request) => {
      await settling.pay({ ...request.params, provider: 'manual', ...request.body }, operatorOf(request))
      return read(request.params)
    },
  )

  app.post(
    `${INVOICE}/void`,
    {
      config,
      schema: {
        ...common,
        operationId: 'adminVoidInvoice',
        summary: 'Void an invoice',
        description: `Takes an unpaid invoice back as a whole; its number stays used. ${OPERATOR}`,
        body: ReasonInput,
      },
    },
    async (request) => {
      await settling.void(request.params, request.body.reason, operatorOf(request))
      return read(request.params)
    },
  )

  app.post(
    `${INVOICE}/uncollectible`,
    {
      config,
      schema: {
        ...common,
        operationId: 'adminGiveUpInvoice',
        summary: 'Give an invoice up',
        description: `Nobody expects it to be paid any more; it still can be. ${OPERATOR}`,
        body: ReasonInput,
      },
    },
    async (request) => {
      await settling.markUncollectible(request.params, request.body.reason, operatorOf(request))
      return read(request.params)
    },
  )

  app.post(
    `${INVOICE}/credit-notes`,
    {
      config,
      schema: {
        operationId: 'adminCreateCreditNote',
        summary: 'Take back a part of an invoice',
        description: `Tax included, and together never more than the invoice. It lowers what is still to be paid; the rest becomes credit. ${OPERATOR}`,
        tags,
        params,
        body: CreditNoteInput,
        response: { 201: CreditNote, ...problems },
      },
    },
    async (request, reply) => {
      const { amount, reason } = request.body
      const wanted = { ...request.params, amount: BigInt(amount), reason }
      return reply.code(201).send(toCreditNote(await settling.creditNote(wanted, operatorOf(request))))
    },
  )

  app.post(
    `${ORGANIZATION}/credit`,
    {
      config,
      schema: {
        operationId: 'adminAddCredit',
        summary: 'Give an organization credit',
        description: `The next invoices use it before anything is to be paid. ${OPERATOR}`,
        tags,
        params: OrganizationParams,
        body: CreditInput,
        response: { 201: CreditEntry, ...problems },
      },
    },
    async (request, reply) => {
      const { amount, currency, reason } = request.body
      const { organizationId } = request.params
      const entry = await settling.addCredit(
        { organizationId, amount: BigInt(amount), currency, reason },
        operatorOf(request),
      )
      const { id, balance } = entry
      return reply.code(201).send({ id, amount, balance: balance.toString(), currency, reason })
    },
  )
}

const operatorOf = (request: FastifyRequest) => ({ ...actingOf(request), asOperator: true as const })
