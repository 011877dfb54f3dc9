import { sql } from 'drizzle-orm'
import type { InjectOptions } from 'fastify'
import t from 'tap'
import { QUOTA_POLICY_CHANGED } from '../../src/domains/billing/index.ts'
import { createQuotas } from '../../src/domains/events/index.ts'
import { type OrganizationRole, ROLE_GRANTABLE } from '../../src/domains/organizations/roles.ts'
import { KEY_SCOPES, type KeyScope, type Permission } from '../../src/http/access.ts'
import { newId } from '../../src/ids.ts'
import { append } from '../../src/infra/outbox.ts'
import { authorized, eventually, startTestApp } from '../helpers/app.ts'
import {
  addCustomMember,
  addMember,
  makeApiKey,
  makeInvalidCredentials,
  makeMember,
  makeRoleSessions,
  makeScopedKeys,
  sessionOf,
  viewerOf,
} from '../helpers/principals.ts'
import { routesOf } from '../helpers/routes.ts'
import { createTwoTenants } from '../helpers/tenants.ts'

/** Who asks, in the order of the columns below. `other` belongs to another organization. */
const COLUMNS = [
  'nobody',
  'write key',
  'API key without the scope',
  'API key with the scope alone',
  'other API key',
  'owner',
  'admin',
  'developer',
  'analyst',
  'viewer',
  'start page',
  'other owner',
  'other start page',
  'anything invalid',
] as const

const EVERYBODY = COLUMNS.map(() => 200)
const NOBODY = COLUMNS.map(() => 404)
const READERS = [401, 403, 403, 200, 404, 200, 200, 200, 200, 200, 200, 404, 404, 401]
/** The payloads are events that every member may read; the start page shows one demo project and has no business here. */
const QUARANTINE_READERS = [401, 403, 403, 200, 404, 200, 200, 200, 200, 200, 403, 404, 404, 401]
const QUARANTINE_WRITERS = [401, 403, 403, 200, 404, 200, 200, 200, 403, 403, 403, 404, 404, 401]
const AUDITORS = [401, 403, 403, 200, 404, 200, 200, 403, 403, 403, 403, 404, 404, 401]
/** Whoever is signed in acts on what is their own. */
const PEOPLE = (status = 200) => [401, 403, 403, 403, 403, ...Array(5).fill(status), 403, status, 403, 401]
const ORGANIZATION = '/v1/organizations/:organizationId'
/** Only people belong to an organization: a key and the start page are refused in every one alike. */
const MEMBERS = (status = 200) => [401, 403, 403, 403, 403, ...Array(5).fill(status), 403, 404, 403, 401]
const MANAGERS = (status = 200) => [401, 403, 403, 403, 403, status, status, 403, 403, 403, 403, 404, 403, 401]
const BILLING_READERS = MANAGERS().with(COLUMNS.indexOf('analyst'), 200)
const SUBSCRIPTION = `${ORGANIZATION}/subscription`
const PROJECT = '/v1/projects/:projectId'
const PLAN = `${PROJECT}/tracking-plan`
const PLANNERS = (status = 200) => [401, 403, 403, status, 404, status, status, status, 403, 403, 403, 404, 404, 401]
const PLAN_READERS = [401, 403, 403, 200, 404, 200, 200, 200, 200, 200, 403, 404, 404, 401]
/** Keys act in their own project here, so another organization's key sends its own events. */
const senders = (status: number) => [401, status, 403, status, status, 401, 401, 401, 401, 401, 401, 401, 401, 401]

/** The addresses of other products' SDKs: where they send, and what they ask for first. */
const SDK_CALLS = ['track', 'identify', 'page', 'screen', 'group', 'alias', 't', 'i', 'p', 's', 'g', 'a']
const SDK_BATCHES = ['/v1/batch', '/v1/b', '/v1/import', '/batch', '/batch/', '/i/v1/analytics/events']
const SDK_CAPTURES = ['/e', '/e/', '/capture', '/capture/', '/i/v0/e', '/i/v0/e/']
const SDK_FLAGS = ['/flags', '/flags/', '/decide', '/decide/']
const SDK_CONFIGS = [
  '/sourceConfig',
  '/sourceConfig/',
  '/flags/definitions',
  '/array/:key/config',
  '/array/:key/config.js',
]

type Row = {
  permission?: KeyScope
  answers: number[]
  request?: () => Promise<Partial<InjectOptions>>
  /** Whether the route ends the session that it is called with, so that it takes somebody new each time. */
  endsSession?: boolean
  /** What a role with the permission alone is answered where that is not enough, because nobody manages who may do more. */
  alone?: number
}

const sdkRow = (url: string, payload: object): [string, Row] => [
  `POST ${url}`,
  { permission: 'events:write', answers: senders(200), request: async () => ({ payload }) },
]

const SDK_TABLE: Record<string, Row> = Object.fromEntries([
  ...SDK_CALLS.map((call) => sdkRow(`/v1/${call}`, { event: 'Access' })),
  ...SDK_BATCHES.map((url) => sdkRow(url, { batch: [{ event: 'Access' }] })),
  ...SDK_CAPTURES.map((url) => sdkRow(url, { event: 'Access' })),
  ...SDK_FLAGS.map((url): [string, Row] => [
    `POST ${url}`,
    { answers: EVERYBODY, request: async () => ({ payload: {} }) },
  ]),
  ...SDK_CONFIGS.map((url): [string, Row] => [`GET ${url}`, { answers: EVERYBODY }]),
])

/** What every route answers to everybody about the project of `alpha`. A route without a row fails. */
const TABLE: Record<string, Row> = {
  ...SDK_TABLE,
  'GET /': { answers: EVERYBODY },
  'GET /start-page.js': { answers: EVERYBODY },
  'GET /start-page.css': { answers: EVERYBODY },
  'GET /openapi.json': { answers: EVERYBODY },
  'GET /docs': { answers: EVERYBODY.map(() => 301) },
  'GET /docs/': { answers: EVERYBODY },
  'GET /docs/js/scalar.js': { answers: EVERYBODY },
  'GET /health/live': { answers: EVERYBODY },
  'GET /health/ready': { answers: EVERYBODY },
  'GET /metrics': { answers: EVERYBODY },
  'POST /v1/stripe/webhook': { answers: NOBODY, request: async () => ({ payload: {} }) },
  [`POST ${ORGANIZATION}/billing/checkout`]: {
    answers: MANAGERS(409),
    request: async () => ({ payload: { planKey: 'pro' } }),
  },
  [`POST ${ORGANIZATION}/billing/portal`]: { answers: MANAGERS(409), request: async () => ({ payload: {} }) },
  'POST /v1/auth/login': { answers: EVERYBODY, request: async () => login() },
  'GET /account/verify-email': { answers: EVERYBODY },
  'GET /account/reset-password': { answers: EVERYBODY },
  'GET /account/forgot-password': { answers: EVERYBODY },
  'GET /account/confirm-email-change': { answers: EVERYBODY },
  'GET /account/accept-invitation': { answers: EVERYBODY },
  'GET /account.js': { answers: EVERYBODY },
  'POST /v1/auth/register': {
    answers: EVERYBODY.map(() => 202),
    request: async () => ({
      payload: { email: `${newId('usr')}@example.com`, password: 'long enough for anybody', name: 'Somebody' },
      remoteAddress: newAddress(),
    }),
  },
  'POST /v1/auth/verify-email': {
    answers: EVERYBODY.map(() => 422),
    request: async () => ({ payload: { token: 'x'.repeat(43) }, remoteAddress: newAddress() }),
  },
  'POST /v1/auth/forgot-password': {
    answers: EVERYBODY.map(() => 202),
    request: async () => ({ payload: { email: `${newId('usr')}@example.com` }, remoteAddress: newAddress() }),
  },
  'POST /v1/auth/reset-password': {
    answers: EVERYBODY.map(() => 422),
    request: async () => ({
      payload: { token: 'x'.repeat(43), password: 'long enough for anybody' },
      remoteAddress: newAddress(),
    }),
  },
  'POST /v1/auth/refresh': {
    answers: EVERYBODY,
    request: async () => {
      const { cookies } = await app.inject({ method: 'POST', url: '/v1/auth/login', ...login() })
      return { cookies: Object.fromEntries(cookies.map(({ name, value }) => [name, value])) }
    },
  },
  'POST /v1/auth/logout': { answers: PEOPLE(204), endsSession: true },
  'POST /v1/auth/logout-everywhere': { answers: PEOPLE(204), endsSession: true },
  'GET /v1/me': { answers: PEOPLE() },
  'POST /v1/me/password': {
    answers: PEOPLE(422),
    request: async () => ({
      payload: { currentPassword: 'not the one', newPassword: 'long enough for anybody' },
      remoteAddress: newAddress(),
    }),
  },
  'DELETE /v1/me': {
    answers: PEOPLE(422),
    request: async () => ({ payload: { password: 'not the one' }, remoteAddress: newAddress() }),
  },
  'POST /v1/me/email': {
    answers: PEOPLE(422),
    request: async () => ({
      payload: { email: `${newId('usr')}@example.com`, password: 'not the one' },
      remoteAddress: newAddress(),
    }),
  },
  'POST /v1/auth/confirm-email-change': {
    answers: EVERYBODY.map(() => 422),
    request: async () => ({ payload: { token: 'x'.repeat(43) }, remoteAddress: newAddress() }),
  },
  // Nobody is answered by who they are: nothing is known of the challenge.
  'POST /v1/auth/second-factor': {
    answers: EVERYBODY.map(() => 401),
    request: async () => ({ payload: { challenge: 'x'.repeat(43), code: '123456' }, remoteAddress: newAddress() }),
  },
  'POST /v1/me/second-factor': {
    answers: PEOPLE(422),
    request: async () => ({ payload: { password: 'not the one' }, remoteAddress: newAddress() }),
  },
  'POST /v1/me/second-factor/confirm': {
    answers: PEOPLE(409),
    request: async () => ({ payload: { code: '123456' }, remoteAddress: newAddress() }),
  },
  'POST /v1/me/second-factor/recovery-codes': {
    answers: PEOPLE(422),
    request: async () => ({ payload: { password: 'not the one', code: '123456' }, remoteAddress: newAddress() }),
  },
  'DELETE /v1/me/second-factor': {
    answers: PEOPLE(422),
    request: async () => ({ payload: { password: 'not the one', code: '123456' }, remoteAddress: newAddress() }),
  },
  'GET /v1/me/sessions': { answers: PEOPLE() },
  'DELETE /v1/me/sessions/:sessionId': {
    answers: PEOPLE(404),
    request: async () => ({ url: `/v1/me/sessions/${newId('ses')}` }),
  },
  'GET /account/signed-in': { answers: EVERYBODY },
  'GET /account/second-factor': { answers: EVERYBODY },
  'GET /v1/auth/providers': { answers: EVERYBODY },
  'GET /v1/auth/providers/:providerId/start': {
    answers: EVERYBODY.map(() => 404),
    request: async () => ({ url: '/v1/auth/providers/nobody/start', remoteAddress: newAddress() }),
  },
  'GET /v1/auth/providers/:providerId/callback': {
    answers: EVERYBODY.map(() => 404),
    request: async () => ({ url: '/v1/auth/providers/nobody/callback?state=x', remoteAddress: newAddress() }),
  },
  'GET /v1/me/identities': { answers: PEOPLE() },
  'DELETE /v1/me/identities/:identityId': {
    answers: PEOPLE(404),
    request: async () => ({ url: `/v1/me/identities/${newId('idn')}` }),
  },
  'POST /v1/organizations': {
    answers: PEOPLE(201),
    request: async () => ({ payload: { name: 'Made by the matrix' }, remoteAddress: newAddress() }),
  },
  'GET /v1/organizations': { answers: PEOPLE() },
  // To everybody who does not run the platform these are not there.
  'GET /v1/admin/organizations': { answers: NOBODY },
  'GET /v1/admin/organizations/:organizationId': { answers: NOBODY },
  'POST /v1/admin/organizations/:organizationId/freeze': {
    answers: NOBODY,
    request: async () => ({ payload: { reason: 'the matrix' } }),
  },
  'POST /v1/admin/organizations/:organizationId/unfreeze': { answers: NOBODY },
  'POST /v1/admin/organizations/:organizationId/backtest': {
    answers: NOBODY,
    request: async () => ({ payload: { planKey: 'pro' } }),
  },
  'POST /v1/admin/plans/backtest': { answers: NOBODY, request: async () => ({ payload: { planKey: 'pro' } }) },
  'POST /v1/admin/organizations/:organizationId/plans': { answers: NOBODY, request: async () => ({ payload: {} }) },
  'POST /v1/admin/organizations/:organizationId/plan': {
    answers: NOBODY,
    request: async () => ({ payload: { planKey: 'pro', isCustom: false, reason: 'the matrix' } }),
  },
  'POST /v1/admin/organizations/:organizationId/close-subscription': {
    answers: NOBODY,
    request: async () => ({ payload: { reason: 'the matrix' } }),
  },
  'GET /v1/admin/plans/:planKey': { answers: NOBODY, request: async () => ({ url: '/v1/admin/plans/pro' }) },
  'PATCH /v1/admin/plans/:planKey': {
    answers: NOBODY,
    request: async () => ({ url: '/v1/admin/plans/pro', payload: { offered: true } }),
  },
  'POST /v1/admin/plans/:planKey/versions': {
    answers: NOBODY,
    request: async () => ({ url: '/v1/admin/plans/pro/versions', payload: {} }),
  },
  'PATCH /v1/admin/organizations/:organizationId/billing': {
    answers: NOBODY,
    request: async () => ({ payload: { taxBasisPoints: 1900, reason: 'the matrix' } }),
  },
  'POST /v1/admin/coupons': { answers: NOBODY, request: async () => ({ payload: {} }) },
  'GET /v1/admin/stripe/events': { answers: NOBODY },
  'POST /v1/admin/stripe/events/:eventId/replay': { answers: NOBODY },
  'GET /v1/permissions': { answers: EVERYBODY.with(0, 401).with(-1, 401) },
  [`GET ${ORGANIZATION}/roles`]: { answers: MEMBERS() },
  [`POST ${ORGANIZATION}/roles`]: {
    answers: MANAGERS(201),
    request: async () => ({ payload: { name: newId('rol'), permissions: ['roles:write'] } }),
  },
  [`PATCH ${ORGANIZATION}/roles/:roleId`]: {
    answers: MANAGERS(),
    request: async () => ({ ...(await aRole()), payload: { name: newId('rol') } }),
  },
  [`DELETE ${ORGANIZATION}/roles/:roleId`]: { answers: MANAGERS(204), request: () => aRole() },
  [`GET ${ORGANIZATION}`]: { answers: MEMBERS() },
  [`PATCH ${ORGANIZATION}`]: { answers: MANAGERS(), request: async () => ({ payload: { name: 'Renamed' } }) },
  [`GET ${ORGANIZATION}/members`]: { answers: MEMBERS() },
  [`PATCH ${ORGANIZATION}/members/:userId`]: {
    answers: MANAGERS(),
    alone: 403,
    request: async () => ({ ...(await aMember()), payload: { role: 'analyst' } }),
  },
  [`DELETE ${ORGANIZATION}/members/:userId`]: { answers: MANAGERS(204), alone: 403, request: () => aMember() },
  [`DELETE ${ORGANIZATION}`]: {
    alone: 403,
    answers: MANAGERS(400).with(COLUMNS.indexOf('admin'), 403),
    request: async () => ({ payload: { name: 'not its name' } }),
  },
  [`POST ${ORGANIZATION}/restore`]: { answers: MANAGERS(409).with(COLUMNS.indexOf('admin'), 403), alone: 403 },
  [`POST ${ORGANIZATION}/transfer`]: {
    alone: 403,
    answers: MANAGERS().with(COLUMNS.indexOf('admin'), 403),
    request: async () => ({ payload: { userId: await addMember(app, alpha, 'viewer') } }),
    endsSession: true,
  },
  [`GET ${ORGANIZATION}/invitations`]: { answers: MEMBERS() },
  [`POST ${ORGANIZATION}/invitations`]: {
    alone: 403,
    answers: MANAGERS(201),
    request: async () => ({
      payload: { email: `${newId('usr')}@example.com`, role: 'viewer' },
      remoteAddress: newAddress(),
    }),
  },
  [`POST ${ORGANIZATION}/invitations/:invitationId/resend`]: {
    alone: 403,
    answers: MANAGERS(),
    request: async () => ({ url: `${await anInvitation()}/resend`, remoteAddress: newAddress() }),
  },
  [`DELETE ${ORGANIZATION}/invitations/:invitationId`]: {
    alone: 403,
    answers: MANAGERS(204),
    request: async () => ({ url: await anInvitation() }),
  },
  'POST /v1/invitations/accept': {
    answers: PEOPLE(404),
    request: async () => ({ payload: { token: 'x'.repeat(43) }, remoteAddress: newAddress() }),
  },
  'GET /v1/me/invitations': { answers: PEOPLE() },
  [`GET ${ORGANIZATION}/audit-log`]: { answers: MANAGERS() },
  [`GET ${ORGANIZATION}/audit-log/export`]: { answers: MANAGERS() },
  [`GET ${ORGANIZATION}/projects`]: { answers: MEMBERS() },
  [`POST ${ORGANIZATION}/projects`]: {
    answers: MANAGERS(201).with(COLUMNS.indexOf('developer'), 201),
    request: async () => ({ payload: { name: 'Made by the matrix' } }),
  },
  [`POST ${ORGANIZATION}/billing/backtest`]: {
    answers: BILLING_READERS,
    request: async () => ({ payload: { planKey: 'pro' } }),
  },
  [`GET ${ORGANIZATION}/usage`]: { answers: BILLING_READERS },
  [`GET ${ORGANIZATION}/usage/proofs`]: { answers: BILLING_READERS },
  [`GET ${ORGANIZATION}/usage/proofs/:day`]: {
    answers: BILLING_READERS.map((status) => (status === 200 ? 404 : status)),
    request: async () => ({ url: `/v1/organizations/${alpha.organizationId}/usage/proofs/2026-01-31` }),
  },
  'GET /v1/usage-proof-keys': { answers: EVERYBODY },
  [`GET ${ORGANIZATION}/usage/export`]: { answers: BILLING_READERS },
  [`GET ${ORGANIZATION}/usage/periods`]: { answers: BILLING_READERS },
  [`GET ${ORGANIZATION}/usage/hours`]: {
    answers: BILLING_READERS,
    request: async () => ({ query: { from: '2026-01-01', to: '2026-01-02' } }),
  },
  [`GET ${ORGANIZATION}/usage/events`]: {
    answers: MEMBERS(),
    request: async () => ({ query: { hour: '2026-01-01', projectId: alpha.projectId } }),
  },
  [`GET ${ORGANIZATION}/usage/summary`]: { answers: BILLING_READERS },
  [`GET ${ORGANIZATION}/usage/alerts`]: { answers: BILLING_READERS },
  [`POST ${ORGANIZATION}/usage/alerts`]: {
    answers: MANAGERS(409),
    request: async () => ({ payload: { kind: 'percent', threshold: '80' } }),
  },
  [`DELETE ${ORGANIZATION}/usage/alerts/:alertId`]: {
    answers: MANAGERS(404),
    request: async () => ({ url: `/v1/organizations/${alpha.organizationId}/usage/alerts/${newId('alt')}` }),
  },
  ...Object.fromEntries(
    ['', '/export', '/parts', '/parts/export'].map((part): [string, Row] => [
      `GET ${ORGANIZATION}/spend${part}`,
      { answers: BILLING_READERS },
    ]),
  ),
  [`GET ${ORGANIZATION}/invoices`]: { answers: BILLING_READERS },
  [`GET ${ORGANIZATION}/invoices/preview`]: { answers: BILLING_READERS },
  ...Object.fromEntries(
    ['', '/pdf', '/csv', '/verify', '/lines/:position/hours'].map((part): [string, Row] => [
      `GET ${ORGANIZATION}/invoices/:invoiceId${part}`,
      {
        answers: BILLING_READERS.map((status) => (status === 200 ? 404 : status)),
        request: async () => ({ url: invoiceUrl(part) }),
      },
    ]),
  ),
  ...Object.fromEntries(
    ['pay', 'void', 'uncollectible', 'credit-notes'].map((act): [string, Row] => [
      `POST /v1/admin/organizations/:organizationId/invoices/:invoiceId/${act}`,
      { answers: NOBODY, request: async () => ({ url: `/v1/admin${invoiceUrl('').slice(3)}/${act}`, payload: {} }) },
    ]),
  ),
  'POST /v1/admin/organizations/:organizationId/credit': {
    answers: NOBODY,
    request: async () => ({ payload: { amount: '1', currency: 'USD', reason: 'the matrix' } }),
  },
  [`GET ${ORGANIZATION}/meters`]: { answers: BILLING_READERS },
  [`POST ${ORGANIZATION}/meters`]: {
    answers: MANAGERS(409),
    request: async () => ({ payload: { key: 'events', name: 'Taken', aggregation: 'count' } }),
  },
  [`GET ${ORGANIZATION}/meters/:meterKey`]: {
    answers: BILLING_READERS,
    request: async () => ({ url: meterUrl('events') }),
  },
  [`POST ${ORGANIZATION}/meters/:meterKey/versions`]: {
    answers: MANAGERS(409),
    request: async () => ({
      url: `${meterUrl('events')}/versions`,
      payload: { baseVersion: 1, name: 'Changed', aggregation: 'count' },
    }),
  },
  [`POST ${ORGANIZATION}/meters/preview`]: {
    answers: BILLING_READERS,
    request: async () => ({ payload: { name: 'Tried', aggregation: 'count' } }),
  },
  [`POST ${ORGANIZATION}/leave`]: { answers: MEMBERS(204), endsSession: true },
  'GET /v1/plans': { answers: EVERYBODY },
  'GET /v1/plans/:planKey': { answers: EVERYBODY, request: async () => ({ url: '/v1/plans/free' }) },
  [`GET ${ORGANIZATION}/billing`]: { answers: BILLING_READERS },
  [`PATCH ${ORGANIZATION}/billing`]: { answers: MANAGERS(), request: async () => ({ payload: { name: 'Billed' } }) },
  [`POST ${ORGANIZATION}/billing/coupons`]: {
    answers: MANAGERS(404),
    request: async () => ({ payload: { code: 'NOBODYS' }, remoteAddress: newAddress() }),
  },
  [`GET ${SUBSCRIPTION}`]: { answers: BILLING_READERS },
  [`GET ${SUBSCRIPTION}/change-preview`]: {
    answers: BILLING_READERS,
    request: async () => ({ ...(await subscribed('active', false)), query: { planKey: 'pro' } }),
  },
  // What is agreed with each customer is nothing that a customer can choose.
  [`POST ${SUBSCRIPTION}/change`]: {
    answers: MANAGERS(409),
    request: async () => ({ payload: { planKey: 'enterprise' } }),
  },
  [`POST ${SUBSCRIPTION}/withdraw`]: { answers: MANAGERS(409) },
  [`POST ${SUBSCRIPTION}/cancel`]: { answers: MANAGERS(), request: () => subscribed('active', false) },
  [`POST ${SUBSCRIPTION}/reactivate`]: { answers: MANAGERS(), request: () => subscribed('active', true) },
  [`POST ${SUBSCRIPTION}/pause`]: { answers: MANAGERS(), request: () => subscribed('active', false) },
  [`POST ${SUBSCRIPTION}/resume`]: { answers: MANAGERS(), request: () => subscribed('paused', false) },
  [`GET ${PROJECT}/settings`]: { answers: EVERYBODY },
  // An image, whatever becomes of the event.
  'GET /v1/pixel/:call': { answers: EVERYBODY },
  'OPTIONS /*': {
    answers: EVERYBODY.map(() => 204),
    request: async () => ({
      url: '/v1/events',
      headers: { origin: 'https://shop.example', 'access-control-request-method': 'POST' },
    }),
  },
  'POST /api/v1/events': {
    permission: 'events:write',
    answers: senders(204),
    request: () => taken({ specversion: '1.0', id: '1', source: '/access', type: 'Access' }),
  },
  // A key asks about its own project; another organization's does not know the id there.
  'GET /v1/events/:messageId/receipt': {
    permission: 'query:read',
    answers: [401, 403, 403, 200, 200, 401, 401, 401, 401, 401, 401, 401, 401, 401],
  },
  'POST /v1/events': {
    permission: 'events:write',
    answers: senders(202),
    request: () => taken({ event: 'Access' }),
  },
  [`GET ${PROJECT}/api-keys`]: {
    permission: 'keys:read',
    answers: [401, 403, 403, 200, 404, 200, 200, 200, 200, 403, 403, 404, 404, 401],
  },
  [`POST ${PROJECT}/api-keys`]: {
    permission: 'keys:write',
    answers: [401, 403, 403, 201, 404, 201, 201, 201, 403, 403, 403, 404, 404, 401],
    request: async () => ({ payload: { name: 'made by the matrix', kind: 'api', scopes: ['keys:write'] } }),
  },
  [`PATCH ${PROJECT}/api-keys/:keyId`]: {
    permission: 'keys:write',
    answers: [401, 403, 403, 200, 404, 200, 200, 200, 403, 403, 403, 404, 404, 401],
    request: async () => ({ url: await aKey(), payload: { name: 'changed by the matrix' } }),
  },
  [`POST ${PROJECT}/api-keys/:keyId/rotate`]: {
    permission: 'keys:write',
    answers: [401, 403, 403, 201, 404, 201, 201, 201, 403, 403, 403, 404, 404, 401],
    request: async () => ({ url: `${await aKey()}/rotate`, payload: { overlapSeconds: 60 } }),
  },
  [`DELETE ${PROJECT}/api-keys/:keyId`]: {
    permission: 'keys:write',
    answers: [401, 403, 403, 204, 404, 204, 204, 204, 403, 403, 403, 404, 404, 401],
    request: async () => ({
      url: `/v1/projects/${alpha.projectId}/api-keys/${(await makeApiKey(app, alpha, ['query:read'])).id}`,
    }),
  },
  [`GET ${PROJECT}`]: { permission: 'projects:read', answers: READERS.with(COLUMNS.indexOf('start page'), 403) },
  [`PATCH ${PROJECT}`]: {
    permission: 'projects:write',
    answers: [401, 403, 403, 200, 404, 200, 200, 200, 403, 403, 403, 404, 404, 401],
    request: async () => ({ payload: { name: 'Changed by the matrix' } }),
  },
  [`POST ${PROJECT}/query`]: {
    permission: 'query:read',
    answers: READERS,
    request: async () => ({
      payload: { kind: 'trend', from: '2026-01-01', to: '2026-01-02', interval: 'day', series: [{ math: 'count' }] },
    }),
  },
  [`GET ${PROJECT}/usage`]: {
    permission: 'query:read',
    answers: READERS,
    request: async () => ({ query: { from: '2026-01-01', to: '2026-01-02', interval: 'day' } }),
  },
  [`GET ${PROJECT}/ingestion`]: { permission: 'query:read', answers: READERS },
  [`GET ${PROJECT}/events`]: { permission: 'query:read', answers: READERS },
  [`GET ${PROJECT}/schema/events`]: { permission: 'query:read', answers: READERS },
  [`GET ${PROJECT}/schema/properties`]: { permission: 'query:read', answers: READERS },
  [`GET ${PROJECT}/schema/values`]: {
    permission: 'query:read',
    answers: READERS,
    request: async () => ({ query: { field: 'event' } }),
  },
  [`GET ${PROJECT}/audit-log`]: { permission: 'audit:read', answers: AUDITORS },
  [`GET ${PROJECT}/audit-log/export`]: { permission: 'audit:read', answers: AUDITORS },
  ...planTable(),
  [`GET ${PROJECT}/quarantine`]: { permission: 'quarantine:read', answers: QUARANTINE_READERS },
  [`GET ${PROJECT}/quarantine/summary`]: { permission: 'quarantine:read', answers: QUARANTINE_READERS },
  [`POST ${PROJECT}/quarantine/replay`]: {
    permission: 'quarantine:write',
    answers: QUARANTINE_WRITERS,
    request: async () => ({ payload: { filter: {} } }),
  },
  [`POST ${PROJECT}/quarantine/discard`]: {
    permission: 'quarantine:write',
    answers: QUARANTINE_WRITERS,
    request: async () => ({ payload: { filter: {} } }),
  },
  // Whoever may watch is told to come back as a WebSocket.
  [`GET ${PROJECT}/live`]: {
    permission: 'query:read',
    answers: READERS.map((status) => (status === 200 ? 426 : status)),
  },
}

const invoiceUrl = (part: string) =>
  `/v1/organizations/${alpha.organizationId}/invoices/${newId('inv')}${part.replace(':position', '1')}`
const meterUrl = (key: string) => `/v1/organizations/${alpha.organizationId}/meters/${key}`

/** The address of a member who is there to be changed. */
async function aMember() {
  return { url: `/v1/organizations/${alpha.organizationId}/members/${await addMember(app, alpha, 'viewer')}` }
}

/** The address of a key that whoever may change keys could have made. */
async function aKey(): Promise<string> {
  return `/v1/projects/${alpha.projectId}/api-keys/${(await makeApiKey(app, alpha, ['keys:write'])).id}`
}

/** The address of an invitation that is there to be changed. */
async function anInvitation(): Promise<string> {
  const url = `/v1/organizations/${alpha.organizationId}/invitations`
  const payload = { email: `${newId('usr')}@example.com`, role: 'viewer' }
  const request = { method: 'POST', url, payload, remoteAddress: newAddress() } as const
  const made = await app.inject(authorized(sessionOf(app, alpha.userId), request))
  return `${url}/${made.json().id}`
}

/** Nothing more for the request: what it is about is brought into a state, whoever asks. */
async function subscribed(status: string, cancels: boolean) {
  await app.postgres.withTenant(alpha.organizationId, (tx) =>
    tx.execute(sql`update subscriptions set status = ${status}, cancel_at_period_end = ${cancels}`),
  )
  return {}
}

/** An event of an organization that is not stopped, whatever other rows have made of its subscription. */
async function taken(payload: object) {
  const { organizationId } = alpha
  const isStopped = async () => Boolean((await quotas.read(organizationId))?.stopped)
  if (await isStopped()) {
    await subscribed('active', false)
    await app.postgres.withTenant(organizationId, (tx) =>
      append(tx, { organizationId, kind: QUOTA_POLICY_CHANGED, payload: {} }),
    )
    await eventually('the end of the pause', async () => !(await isStopped()))
  }
  return { payload }
}

/** The address of a role that is there to be changed. */
async function aRole() {
  const [owner, url] = [sessionOf(app, alpha.userId), `/v1/organizations/${alpha.organizationId}/roles`]
  const payload = { name: newId('rol'), permissions: ['roles:write'] }
  const { id } = (await app.inject(authorized(owner, { method: 'POST', url, payload }))).json()
  return { url: `${url}/${id}` }
}

/** About an event of the plan that is there; one that is taken out is put in again first. */
function planTable(): Record<string, Row> {
  const readable = { permission: 'tracking_plan:read', answers: PLAN_READERS } as const
  const writable = { permission: 'tracking_plan:write', answers: PLANNERS() } as const
  const schema = { type: 'object', properties: { properties: { type: 'object' } } }
  const url = () => `/v1/projects/${alpha.projectId}/tracking-plan/events/Access`
  const put = () =>
    app.inject(authorized(sessionOf(app, alpha.userId), { method: 'PUT', url: url(), payload: { schema } }))
  return {
    [`GET ${PLAN}`]: readable,
    [`PATCH ${PLAN}`]: { ...writable, request: async () => ({ payload: { mode: 'observe' } }) },
    [`PUT ${PLAN}/events/:eventName`]: { ...writable, request: async () => ({ url: url(), payload: { schema } }) },
    [`GET ${PLAN}/events/:eventName`]: { ...readable, request: () => put().then(() => ({ url: url() })) },
    [`DELETE ${PLAN}/events/:eventName`]: {
      ...writable,
      answers: PLANNERS(204),
      request: () => put().then(() => ({ url: url() })),
    },
    [`GET ${PLAN}/versions`]: readable,
    [`GET ${PLAN}/versions/:version`]: readable,
    [`POST ${PLAN}/versions/:version/restore`]: { ...writable, request: async () => ({ payload: {} }) },
    [`POST ${PLAN}/infer`]: writable,
    [`POST ${PLAN}/check`]: { ...readable, request: async () => ({ payload: { events: [{ event: 'Access' }] } }) },
    [`GET ${PLAN}/violations`]: readable,
    [`GET ${PLAN}/types`]: readable,
  }
}

const { app, accessOf, config } = await startTestApp(t)
const quotas = createQuotas({ redis: app.ingestRedis, shards: config.ingest.shards })
const [alpha, beta] = await createTwoTenants(app)
const scoped = await makeScopedKeys(app, alpha)
const roles = await makeRoleSessions(app, alpha)
const invalid = await makeInvalidCredentials(app, alpha)
const otherKey = (await makeApiKey(app, beta, [...KEY_SCOPES])).key

/** The credentials of a column: one, or each of the invalid ones. */
function credentialsOf(
  column: (typeof COLUMNS)[number],
  permission: KeyScope | undefined,
): Record<string, string | undefined> {
  if (column === 'anything invalid') return invalid
  const keys = scoped.get(permission ?? 'query:read')
  const one: Record<string, string | undefined> = {
    nobody: undefined,
    'write key': alpha.writeKey,
    'API key without the scope': keys?.without,
    'API key with the scope alone': keys?.only,
    'other API key': otherKey,
    'start page': viewerOf(app, alpha.projectId),
    'other owner': sessionOf(app, beta.userId),
    'other start page': viewerOf(app, beta.projectId),
    ...roles,
  }
  return { [column]: one[column] }
}

/** Signing in is limited by address, so everybody comes from their own. */
let addresses = 0
const newAddress = () => `10.0.${addresses >> 8}.${addresses++ & 255}`
const login = () => ({ payload: { email: alpha.email, password: alpha.password }, remoteAddress: newAddress() })

/** Somebody new in the place of a signed-in column; of the others there is one credential only. */
async function anotherOf(column: (typeof COLUMNS)[number], known: string | undefined): Promise<string | undefined> {
  if (column === 'other owner') return makeMember(app, beta, 'owner')
  return column in roles ? makeMember(app, alpha, column as OrganizationRole) : known
}

/** Where everybody is answered 401, it is the body that is not good, and no credential. */
const GUARDED = Object.entries(TABLE).filter(([, { answers }]) => answers[0] === 401 && new Set(answers).size > 1)

/** The request of a route about a project; a key id is one that nobody has unless the row says another. */
async function requestOf(
  route: string,
  { projectId, organizationId }: { projectId: string; organizationId: string } = alpha,
): Promise<InjectOptions> {
  const [method, pattern = ''] = route.split(' ') as ['GET', string]
  const url = pattern
    .replace(':projectId', projectId)
    .replace(':organizationId', organizationId)
    .replace(':keyId', newId('key'))
    .replace(':userId', newId('usr'))
    .replace(':invitationId', newId('ivt'))
    .replace(':roleId', newId('rol'))
    .replace(':version', '1')
  const { url: own, ...rest } = (await TABLE[route]?.request?.()) ?? {}
  return { method, url: organizationId === alpha.organizationId && own ? own : url, ...rest } as InjectOptions
}

const send = (request: InjectOptions, credential: string | undefined) =>
  app.inject(credential === undefined ? request : authorized(credential, request))

const PROBLEMS: Record<number, RegExp> = {
  401: /^(auth\.unauthenticated|identity\.challenge_over)$/,
  403: /^auth\.forbidden$/,
  404: /^(projects\.not_found|organizations\.not_found|organizations\.invitation_not_found|billing\.coupon_not_found|resource\.not_found|identity\.session_not_found|identity\.identity_not_found|auth\.provider_not_found|billing\.invoice_not_found|billing\.alert_not_found|billing\.proof_not_found)$/,
  426: /^live\.upgrade_required$/,
}

t.test('every route has a row for everybody', async (t) => {
  t.same(
    Object.keys(TABLE).sort(),
    routesOf(app)
      .map(({ method, url }) => `${method} ${url}`)
      .sort(),
  )
  for (const [route, { answers }] of Object.entries(TABLE)) t.equal(answers.length, COLUMNS.length, route)
})

t.test('everybody may do what the table says, and nothing else', async (t) => {
  for (const [route, { permission, answers, endsSession }] of Object.entries(TABLE)) {
    await t.test(route, async (t) => {
      for (const [index, column] of COLUMNS.entries()) {
        for (const [who, known] of Object.entries(credentialsOf(column, permission))) {
          const credential = endsSession ? await anotherOf(column, known) : known
          const answer = await send(await requestOf(route), credential)
          t.equal(answer.statusCode, answers[index], who, { answer: answer.body.slice(0, 500) })
          const problem = PROBLEMS[answer.statusCode]
          if (problem) t.match(answer.json().code, problem)
          if (answer.statusCode === 401 && GUARDED.some(([guarded]) => guarded === route))
            t.match(answer.headers['www-authenticate'], /^Bearer realm=/)
        }
      }
    })
  }
})

t.test(
  'a role of the organization allows on every route what it lists, and all else does not allow that',
  async (t) => {
    const memberWith = async (permissions: readonly Permission[]) =>
      sessionOf(app, (await addCustomMember(app, alpha, permissions)).userId)
    /** An organization has room for so many only. */
    const removeRoles = () =>
      app.postgres.withTenant(alpha.organizationId, async (tx) => {
        await tx.execute(sql`delete from memberships where role_id is not null`)
        await tx.execute(sql`delete from roles`)
      })
    const seen = new Set<Permission>()
    for (const [route, { answers, alone }] of Object.entries(TABLE)) {
      await removeRoles()
      const permission = ROLE_GRANTABLE.find((permission) => permission === accessOf.get(route))
      const owners = answers[COLUMNS.indexOf('owner')]
      const allowed = await send(await requestOf(route), await memberWith(permission ? [permission] : []))
      t.equal(allowed.statusCode, alone ?? owners, `${route} with ${permission} alone`, {
        answer: allowed.body.slice(0, 300),
      })
      if (!permission || owners === 401) continue
      seen.add(permission)
      const others = ROLE_GRANTABLE.filter((other) => other !== permission)
      const refused = await send(await requestOf(route), await memberWith(others))
      t.equal(refused.statusCode, 403, `${route} with all but ${permission}`)
    }
    t.same([...seen].sort(), [...ROLE_GRANTABLE].sort(), 'every permission guards a route')
  },
)

t.test('asking for the headers alone needs what the answer needs', async (t) => {
  for (const [route, { permission, answers }] of GUARDED) {
    if (!route.startsWith('GET ')) continue
    for (const [index, column] of COLUMNS.entries()) {
      const [credential] = Object.values(credentialsOf(column, permission))
      const { statusCode, body } = await send({ ...(await requestOf(route)), method: 'HEAD' }, credential)
      t.equal(statusCode, answers[index], `HEAD ${route} as ${column}`)
      t.equal(body, '')
    }
  }
})

/** What a caller can see of an answer, less what differs between any two. */
function visible({ statusCode, headers, body }: Awaited<ReturnType<typeof send>>) {
  const { 'x-request-id': _id, date: _date, ratelimit: _ratelimit, ...rest } = headers
  return { statusCode, headers: rest, body: { ...JSON.parse(body), instance: undefined } }
}

const nowhere = () => ({ projectId: newId('prj'), organizationId: newId('org') })

t.test('another organization looks the same as one that does not exist', async (t) => {
  const others = { key: otherKey, session: sessionOf(app, beta.userId), 'start page': viewerOf(app, beta.projectId) }
  const routes = GUARDED.filter(([route]) => route.includes(':organizationId'))
  t.ok(routes.length >= 6)
  for (const [route] of routes) {
    for (const [who, credential] of Object.entries(others)) {
      const foreign = visible(await send(await requestOf(route), credential))
      t.equal(foreign.statusCode, who === 'session' ? 404 : 403)
      t.same(foreign, visible(await send(await requestOf(route, nowhere()), credential)), `${route} with a ${who}`)
    }
    const odd = { ...alpha, organizationId: 'org_%00' }
    t.equal(
      (await send(await requestOf(route, odd), sessionOf(app, alpha.userId))).statusCode,
      404,
      'whatever it is called',
    )
  }
})

t.test("another organization's project looks the same as one that does not exist", async (t) => {
  const others = { key: otherKey, session: sessionOf(app, beta.userId), 'start page': viewerOf(app, beta.projectId) }
  const routes = GUARDED.filter(([route]) => route.includes(':projectId'))
  t.ok(routes.length >= 10)
  for (const [route] of routes) {
    for (const [who, credential] of Object.entries(others)) {
      const foreign = visible(await send(await requestOf(route), credential))
      t.equal(foreign.statusCode, 404)
      t.same(foreign, visible(await send(await requestOf(route, nowhere()), credential)), `${route} with a ${who}`)
    }
  }
})

t.test("another organization's key looks the same as one that does not exist", async (t) => {
  const revoke = (keyId: string) =>
    send({ method: 'DELETE', url: `/v1/projects/${beta.projectId}/api-keys/${keyId}` }, sessionOf(app, beta.userId))
  const foreign = visible(await revoke(alpha.apiKeyId))
  t.equal(foreign.statusCode, 404)
  t.same(foreign, visible(await revoke(newId('key'))))
  t.equal((await send(await requestOf(`GET ${PROJECT}/usage`), scoped.get('query:read')?.only)).statusCode, 200)
})

t.test('a credential in the URL is refused on every route that needs one, even beside a good one', async (t) => {
  const good = sessionOf(app, alpha.userId)
  for (const [route, { permission }] of GUARDED) {
    const credentials = {
      key: scoped.get(permission ?? 'query:read')?.only,
      write_key: alpha.writeKey,
      access_token: good,
    }
    for (const [name, credential] of Object.entries(credentials)) {
      for (const header of [undefined, good]) {
        const request = await requestOf(route)
        const answer = await send({ ...request, query: { [name]: String(credential) } }, header)
        t.equal(answer.statusCode, 400, `${route}?${name}`)
        t.notMatch(answer.body, String(credential), 'and is not repeated')
      }
    }
  }
})
