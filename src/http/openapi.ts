import swagger from '@fastify/swagger'
import scalar from '@scalar/fastify-api-reference'
import fp from 'fastify-plugin'
import manifest from '../../package.json' with { type: 'json' }
import { ProblemSchema, problemResponses } from './schemas.ts'

const TAGS = [
  { name: 'Events', description: 'Sending events.' },
  { name: 'SDKs', description: 'Sending events with the libraries of other products: only their host is changed.' },
  { name: 'Queries', description: 'Reading them back: aggregates, usage, single events, what exists.' },
  { name: 'Quarantine', description: 'Events that were refused and kept: read, repair, replay.' },
  { name: 'Live', description: 'Events as they arrive, over a WebSocket.' },
  { name: 'Audit log', description: 'What was done, by whom and from where; nobody can change it.' },
  { name: 'Tracking plans', description: 'What events should look like: schemas, their history, proposals and types.' },
  { name: 'Organizations', description: 'Who belongs together: organizations, their members and invitations.' },
  { name: 'Projects', description: 'What a project says about the requests that its keys make.' },
  { name: 'Keys', description: 'Write keys and API keys of a project.' },
  { name: 'Billing', description: 'What there is to subscribe to, and what it costs.' },
  { name: 'Accounts', description: 'People who sign in.' },
  { name: 'Platform', description: 'What the operator of the platform sees and does.' },
  { name: 'Operations', description: 'Health and metrics, for whoever runs the server.' },
]

function securityOf(access: string | undefined): Record<string, string[]>[] {
  if (access === 'public') return []
  return access === 'events:write' ? [{ key: [] }] : [{ key: [] }, { session: [] }]
}

const DOCS_CONTENT_SECURITY_POLICY =
  "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; object-src 'none'; base-uri 'none'; frame-ancestors 'none'"

/** The OpenAPI 3.1 document made of the routes' schemas, at /openapi.json, and a page to read it, at /docs. */
export default fp(
  async (app, { publicUrl }: { publicUrl: string }) => {
    app.addSchema(ProblemSchema)
    await app.register(swagger, {
      openapi: {
        openapi: '3.1.0',
        info: {
          title: 'Meterhouse',
          version: manifest.version,
          description: 'Events in; charts, usage and invoices out. Every error is application/problem+json (RFC 9457).',
        },
        servers: [{ url: publicUrl }],
        tags: TAGS,
        components: {
          securitySchemes: {
            key: {
              type: 'http',
              scheme: 'bearer',
              description:
                'A write key (mh_write_…) or an API key (mh_live_…); HTTP Basic with the key as user name works too.',
            },
            session: {
              type: 'http',
              scheme: 'bearer',
              bearerFormat: 'JWT',
              description: 'The access token of a signed-in person.',
            },
          },
        },
      },
      refResolver: { buildLocalReference: (json, _base, _fragment, index) => String(json.$id ?? `schema-${index}`) },
      transform: ({ schema, url, route }) => {
        const access = (route.config as { access?: string } | undefined)?.access
        return { schema: { ...schema, security: securityOf(access) }, url }
      },
    })
    app.get(
      '/openapi.json',
      {
        config: { access: 'public' },
        schema: {
          operationId: 'openapi',
          summary: 'This document',
          description: 'OpenAPI 3.1, made of the same schemas that validate the requests.',
          tags: ['Operations'],
          response: {
            200: {
              type: 'object',
              additionalProperties: true,
              description: 'An OpenAPI document.',
              examples: [{ openapi: '3.1.0' }],
            },
            ...problemResponses(429),
          },
        },
      },
      async () => app.swagger(),
    )
    await app.register(async (scope) => {
      // The page of the reference brings its own inline script and styles; nothing else on this origin may.
      scope.addHook('onSend', async (_request, reply) => {
        reply.header('content-security-policy', DOCS_CONTENT_SECURITY_POLICY)
      })
      await scope.register(scalar, {
        routePrefix: '/docs',
        configuration: {
          url: '/openapi.json',
          withDefaultFonts: false,
          hideClientButton: true,
          showDeveloperTools: 'never',
          agent: { disabled: true },
          telemetry: false,
        },
      })
    })
  },
  { name: 'openapi' },
)
