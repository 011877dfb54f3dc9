import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { organizationScope } from '../../../http/access.ts'
import { OrganizationParams, problemResponses } from '../../../http/schemas.ts'
import { ProofKeys, ProofParams, ProofQuery, UsageProof, UsageProofPage } from './schemas.ts'
import type { ProofsService } from './service.ts'

const PROOFS = '/v1/organizations/:organizationId/usage/proofs'
const config = { access: 'billing:read', whileFrozen: true } as const
const tags = ['Billing']

export const proofRoutes: FastifyPluginAsyncTypebox<{ proofs: ProofsService }> = async (app, { proofs }) => {
  app.get(
    PROOFS,
    {
      config,
      schema: {
        operationId: 'listUsageProofs',
        summary: 'List the daily usage proofs',
        description: `The oldest first. Keep them: each names the hash of the one before, so that what you have holds us to all before it.
\`scripts/verify-usage-proof.js\` verifies a file of them and needs nothing but Node.`,
        tags,
        params: OrganizationParams,
        querystring: ProofQuery,
        response: { 200: UsageProofPage, ...problemResponses(400, 401, 403, 404, 429, 503) },
      },
    },
    (request) => proofs.list(organizationScope(request).organizationId, request.query),
  )

  app.get(
    `${PROOFS}/:day`,
    {
      config,
      schema: {
        operationId: 'readUsageProof',
        summary: 'Read the usage proof of a day',
        description: 'A day is proved when it is over for a day. One without events has no proof.',
        tags,
        params: ProofParams,
        response: { 200: UsageProof, ...problemResponses(400, 401, 403, 404, 429, 503) },
      },
    },
    (request) => proofs.read(organizationScope(request).organizationId, request.params.day),
  )

  app.get(
    '/v1/usage-proof-keys',
    {
      config: { access: 'public' },
      schema: {
        operationId: 'listUsageProofKeys',
        summary: 'List the public keys of usage proofs',
        description: 'Needs no credential. The first one signs.',
        tags,
        response: { 200: ProofKeys, ...problemResponses(429, 503) },
      },
    },
    async () => ({ data: proofs.keys, nextCursor: null }),
  )
}
