import { randomInt } from 'node:crypto'
import { sql } from 'drizzle-orm'
import type { FastifyInstance, InjectOptions } from 'fastify'
import t from 'tap'
import { userIdentities } from '../../src/domains/identity/tables.ts'
import { newId } from '../../src/ids.ts'
import { authorized, eventually, startTestApp } from '../helpers/app.ts'
import { listen, openLive } from '../helpers/live.ts'
import { type Operation, operationsOf, sampleOf } from '../helpers/openapi-operations.ts'
import { addMember, makeRoleSessions, sessionOf } from '../helpers/principals.ts'
import { createTwoTenants, sessionIdOf } from '../helpers/tenants.ts'

const CANARY = 'canary-of-beta'
/**
 * A key is checked from memory and a session in the database, so that most probes are made with the key. TEST_SWEEP_FACTOR
 * multiplies them for a sweep at length.
 */
const FACTOR = Number(process.env.TEST_SWEEP_FACTOR ?? 1)
const ROUNDS = { key: 200 * FACTOR, session: 6 * FACTOR, own: 2 * FACTOR }
const AT_ONCE = 64
const PROBES_MIN = 13_000 * FACTOR
const HANDSHAKES = 20
/** A route that this test adds, for the sweep to find. */
const FORGETFUL = '/v1/forgetful/projects/{projectId}'
/** A key asks here about its own project, where the id of another's event is as unknown as any. */
const UNKNOWN_IS_AN_ANSWER = ['/v1/events/{messageId}/receipt']

const { app } = await startTestApp(t, {}, addForgetfulRoute)
const [alpha, beta] = await createTwoTenants(app)
await app.postgres.withSystem(async (tx) => {
  await tx.execute(sql`update organizations set name = ${`${CANARY} organization`} where id = ${beta.organizationId}`)
  await tx.execute(sql`update projects set name = ${`${CANARY} project`} where id = ${beta.projectId}`)
  await tx.execute(sql`update users set email = ${`${CANARY}@example.com`}, name = ${CANARY} where id = ${beta.userId}`)
  await tx.execute(sql`update api_keys set name = ${`${CANARY} key`} where organization_id = ${beta.organizationId}`)
})
const messageId = `message-of-${newId('prj')}`
const sent = await app.inject(
  authorized(beta.writeKey, { method: 'POST', url: '/v1/events', payload: { event: `${CANARY} event`, messageId } }),
)
if (sent.json().accepted !== 1) throw new Error(`the event of beta was not taken: ${sent.body}`)
const colleague = await addMember(app, beta, 'viewer')
const invited = await app.inject(
  authorized(sessionOf(app, beta.userId), {
    method: 'POST',
    url: `/v1/organizations/${beta.organizationId}/invitations`,
    payload: { email: `${CANARY}-invited@example.com`, role: 'viewer' },
  }),
)
const invitationId: string = invited.json().id
const madeRole = await app.inject(
  authorized(sessionOf(app, beta.userId), {
    method: 'POST',
    url: `/v1/organizations/${beta.organizationId}/roles`,
    payload: { name: `${CANARY} role`, permissions: ['projects:read'] },
  }),
)
const roleId: string = madeRole.json().id
const identityId = newId('idn')
await app.postgres.withSystem((tx) =>
  tx.insert(userIdentities).values({
    id: identityId,
    userId: beta.userId,
    providerId: 'company',
    subject: CANARY,
    email: `${CANARY}@company.example`,
  }),
)
const invoiceId = newId('inv')
await app.postgres.withSystem((tx) =>
  tx.execute(sql`insert into invoices (organization_id, id, reason, currency, cut_off, document, content_hash, created_at)
    values (${beta.organizationId}, ${invoiceId}, 'manual', 'USD', now(), ${JSON.stringify({ lines: [], buyer: CANARY })}, '', now())`),
)
const alertId = newId('alt')
await app.postgres.withSystem((tx) =>
  tx.execute(sql`insert into usage_alerts (organization_id, id, meter_key, kind, threshold, created_by, created_at)
    values (${beta.organizationId}, ${alertId}, ${CANARY}, 'quantity', 1, ${beta.userId}, now())`),
)
const { rows: periods } = await app.postgres.withSystem((tx) =>
  tx.execute<{ id: string }>(sql`select id from billing_periods where organization_id = ${beta.organizationId}`),
)
const operations = await operationsOf(app)
const callers: Record<string, string> = { key: alpha.apiKey, ...(await makeRoleSessions(app, alpha)) }

interface Id {
  foreign: string[]
  unknown: () => string
  own?: string
}

/** How to fill each id: with what is the other tenant's, with what is nobody's, and with the caller's own. */
const IDS: Record<string, Id> = {
  projectId: { foreign: [beta.projectId], unknown: () => newId('prj'), own: alpha.projectId },
  organizationId: { foreign: [beta.organizationId], unknown: () => newId('org'), own: alpha.organizationId },
  keyId: { foreign: [beta.apiKeyId, beta.writeKeyId], unknown: () => newId('key') },
  sessionId: { foreign: [sessionIdOf(beta.userId), sessionIdOf(colleague)], unknown: () => newId('ses') },
  userId: { foreign: [beta.userId, colleague], unknown: () => newId('usr') },
  actor: { foreign: [beta.userId, beta.apiKeyId], unknown: () => newId('usr') },
  invitationId: { foreign: [invitationId], unknown: () => newId('ivt') },
  roleId: { foreign: [roleId], unknown: () => newId('rol') },
  identityId: { foreign: [identityId], unknown: () => newId('idn') },
  invoiceId: { foreign: [invoiceId], unknown: () => newId('inv') },
  alertId: { foreign: [alertId], unknown: () => newId('alt') },
  periodId: { foreign: periods.map(({ id }) => id), unknown: () => newId('bpr') },
  messageId: { foreign: [messageId], unknown: () => `message-of-${newId('prj')}` },
  messageIds: { foreign: [messageId], unknown: () => `message-of-${newId('prj')}` },
  anonymousId: { foreign: [beta.userId], unknown: () => newId('usr') },
  distinctId: { foreign: [beta.userId], unknown: () => newId('usr') },
  groupId: { foreign: [beta.organizationId], unknown: () => newId('org') },
}
/** Parts of a path that name nothing by themselves, only inside of a project, with something that may stand there. */
const PLAIN: Record<string, string> = {
  eventName: `${CANARY} event`,
  version: '1',
  position: '1',
  call: 'track.gif',
  key: beta.writeKey,
  planKey: 'nothing',
  day: '2026-01-31',
  meterKey: 'events',
  providerId: 'nothing',
  // Of no tenant: the operator's alone.
  eventId: 'evt_nothing',
}
const OWNERS = ['projectId', 'organizationId']
/** What an authority calls a company; it names nothing here. */
const NO_ID = 'taxId'
const isIdName = (name: string) => name !== NO_ID && (/(Id|Ids)$/.test(name) || name === 'actor')
const pathIds = ({ parameters }: Operation) => parameters.filter((p) => p.in === 'path').map(({ name }) => name)
/** The ids that a request may name outside of its path; those inside of an event are what its sender calls things. */
const looseIds = ({ parameters, body }: Operation) => [
  ...parameters.filter((p) => p.in === 'query' && isIdName(p.name)).map(({ name }) => name),
  ...Object.keys(body?.properties ?? {}).filter(isIdName),
]
const isIngestion = ({ path, method }: Operation) => method === 'POST' && !path.includes('{')

function unknownIds(all: Operation[]): string[] {
  return all.flatMap((operation) => {
    const inPath = pathIds(operation).filter((name) => !(name in IDS) && !(name in PLAIN))
    const loose = isIngestion(operation) ? [] : looseIds(operation).filter((name) => !(name in IDS))
    return [...inPath, ...loose].map((name) => `${operation.id}: ${name}`)
  })
}

type Fill = (id: Id) => string
const foreignOf: Fill = ({ foreign }) => foreign[randomInt(foreign.length)] as string
const nobodys: Fill = ({ unknown }) => unknown()

/** One request of an operation; inside the caller's own project or organization every other id is filled. */
function requestOf(operation: Operation, isOwn: boolean, fill: Fill): InjectOptions {
  const url = operation.path.replace(/\{(\w+)\}/g, (_, name: string) => {
    const id = IDS[name]
    if (!id) return encodeURIComponent(PLAIN[name] ?? '')
    return isOwn && id.own ? id.own : fill(id)
  })
  const query = operation.parameters
    .filter((p) => p.in === 'query' && (p.required || (isOwn && isIdName(p.name))))
    .map((p) => [p.name, IDS[p.name] ? fill(IDS[p.name] as Id) : String(sampleOf(p.schema))])
  const body = operation.body && (sampleOf(operation.body) as Record<string, unknown>)
  if (body && isOwn && operation.body?.properties?.messageIds) body.messageIds = [fill(IDS.messageIds as Id)]
  return {
    method: operation.method as 'GET',
    url,
    query: Object.fromEntries(query),
    ...(body ? { payload: body } : {}),
  }
}

interface Probe {
  operation: Operation
  who: string
  isOwn: boolean
}

/** Names of things have no owner of their own, so that only an id of ours makes a probe inside the caller's own project. */
function probesOf(operation: Operation): Probe[] {
  const path = pathIds(operation).filter((name) => name in IDS)
  const hasOwner = path.some((name) => OWNERS.includes(name))
  const hasOther = path.some((name) => !OWNERS.includes(name)) || looseIds(operation).length > 0
  return Object.keys(callers).flatMap((who) => {
    const rounds = who === 'key' ? ROUNDS.key : ROUNDS.session
    const outside = path.length > 0 ? Array.from({ length: rounds }, () => ({ operation, who, isOwn: false })) : []
    const inside = Array.from({ length: ROUNDS.own }, () => ({ operation, who, isOwn: true }))
    return [...outside, ...(hasOwner && hasOther ? inside : [])]
  })
}

type Ask = (request: InjectOptions, who: string) => Promise<{ statusCode: number; body: string }>
const ask: Ask = (request, who) =>
  app.inject(authorized(callers[who] ?? '', { ...request, remoteAddress: nextAddress() }))

let asked = 0
/** What mails or guesses is limited by address, and nothing of that is asked here. */
const nextAddress = () => `10.${(asked >> 16) & 255}.${(asked >> 8) & 255}.${asked++ & 255}`

/** What a caller can see, less what differs between any two answers: the request, the time that it took, and the id that was asked for. */
const visible = ({ statusCode, body }: { statusCode: number; body: string }) =>
  `${statusCode} ${body
    .replace(/"instance":"[^"]*"/, '')
    .replace(/"(completeThrough|asOf|elapsedMs|durationMs)":("[^"]*"|[\d.]+)/g, '')
    .replace(/(message-of-)?(prj|org|key|ses|usr|ivt|rol|idn|inv|bpr|alt)_[0-9a-z]{26}/g, 'id')}`

async function sweep(probes: Probe[], ask: Ask) {
  const expected = new Map<string, Promise<string>>()
  const [leaks, statuses] = [new Set<string>(), new Map<number, number>()]
  const queue = probes.values()
  let count = 0
  const work = async () => {
    for (const { operation, who, isOwn } of queue) {
      const name = `${operation.method} ${operation.path} as ${who}${isOwn ? ' at home' : ''}`
      const known = expected.get(name) ?? ask(requestOf(operation, isOwn, nobodys), who).then(visible)
      expected.set(name, known)
      const answer = await ask(requestOf(operation, isOwn, foreignOf), who)
      count++
      statuses.set(answer.statusCode, (statuses.get(answer.statusCode) ?? 0) + 1)
      const absent = await known
      if (visible(answer) !== absent)
        leaks.add(`${name}: ${visible(answer).slice(0, 300)} instead of ${absent.slice(0, 300)}`)
      // What the request itself said is not told by the answer.
      if (answer.body.includes(CANARY) && !absent.includes(CANARY)) leaks.add(`${name}: ${CANARY}`)
      if (
        !operation.isPublic &&
        !isOwn &&
        !UNKNOWN_IS_AN_ANSWER.includes(operation.path) &&
        ![401, 403, 404].includes(answer.statusCode)
      )
        leaks.add(`${name}: answers ${answer.statusCode}`)
      if (answer.statusCode === 429 || answer.statusCode >= 500)
        leaks.add(`${name}: was not asked, ${answer.statusCode}`)
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, work))
  return { count, leaks: [...leaks], statuses: Object.fromEntries(statuses) }
}

const swept = operations.filter((operation) => !isIngestion(operation) && operation.path !== FORGETFUL)

t.test('every id of every route is one that the sweep can fill, and a new one stops it', async (t) => {
  t.same(unknownIds(operations), [])
  const parameters = [{ in: 'path', name: 'deliveryId', required: true, schema: {} }]
  const route = {
    id: 'new',
    method: 'GET',
    path: '/v1/deliveries/{deliveryId}',
    parameters,
    body: undefined,
    isPublic: false,
  }
  t.same(unknownIds([route]), ['new: deliveryId'])
})

t.test('A13: nothing of another tenant answers differently from what does not exist', async (t) => {
  const { count, leaks, statuses } = await sweep(swept.flatMap(probesOf), ask)
  t.comment(`${count} probes, ${leaks.length} leaks, ${JSON.stringify(statuses)}`)
  t.same(leaks, [])
  t.ok(count >= PROBES_MIN, `${count} probes, which are at least ${PROBES_MIN}`)
  t.ok((statuses[404] ?? 0) > count / 3, 'many are answered as absent, and not for the want of a permission')
})

t.test('the sweep finds a route of the server that forgets whose project it is', async (t) => {
  const route = operations.filter(({ path }) => path === FORGETFUL)
  t.equal(route.length, 1)
  const { leaks } = await sweep(route.flatMap(probesOf), ask)
  const ofCallers = Object.keys(callers).map((who) => leaks.filter((leak) => leak.includes(`as ${who}:`)).length)
  t.ok(Math.min(...ofCallers) >= 2, 'by its status and by the name in it, whoever asks')
})

t.test("nobody watches another tenant's events live", async (t) => {
  const base = await listen(app)
  const url = (projectId: string) => `${base}/v1/projects/${projectId}/live`
  for (const [who, credential] of Object.entries(callers)) {
    const outcomes = await Promise.all(
      Array.from({ length: HANDSHAKES }, async (_, index) => {
        const projectId = index % 5 === 0 ? newId('prj') : beta.projectId
        const query = `?after=1-1.1&event=${encodeURIComponent(`${CANARY} event`)}`
        const address = `${url(projectId)}${index % 2 === 0 ? query : ''}`
        return openLive(t, address, credential, index % 3 === 0).then(
          () => 'opened',
          (error: Error) => error.message,
        )
      }),
    )
    t.same(new Set(outcomes), new Set(['refused with 404']), `${who}: ${HANDSHAKES} handshakes`)
  }
  const its = await openLive(t, url(beta.projectId), sessionOf(app, beta.userId))
  t.ok(its, 'its own member does')
  const viewers = Object.values(callers)
  const others = await Promise.all(viewers.map((credential) => openLive(t, url(alpha.projectId), credential)))
  await Promise.all([its, ...others].map((viewer) => viewer.frame('hello')))
  for (const { socket } of others) socket.send(JSON.stringify({ type: 'filter', event: `${CANARY} event` }))
  await Promise.all(others.map((viewer) => viewer.frame('filtered')))
  const send = (key: string, messageId: string) =>
    app.inject(authorized(key, { method: 'POST', url: '/v1/events', payload: { event: `${CANARY} event`, messageId } }))
  await send(beta.writeKey, 'of-beta')
  await eventually('the event of beta', async () => its.ids().includes('of-beta'))
  await send(alpha.writeKey, 'of-alpha')
  for (const viewer of others) {
    await eventually('the event of alpha', async () => viewer.ids().includes('of-alpha'))
    t.same(viewer.ids(), ['of-alpha'], 'an event of the same name, of the own project alone')
  }
})

t.test('the sweep finds what opens when the wall in the database is taken away', async (t) => {
  const { withTenant } = app.postgres
  t.teardown(() => Object.assign(app.postgres, { withTenant }))
  // As if a transaction had forgotten for whom it is.
  Object.assign(app.postgres, { withTenant: (_: string, fn: never) => app.postgres.withSystem(fn) })
  const atHome = swept.flatMap(probesOf).filter(({ isOwn, who }) => isOwn && who === 'owner')
  const { leaks } = await sweep(atHome, ask)
  const found = new Set(leaks.map((leak) => leak.split(' as ')[0]))
  for (const path of ['roles/{roleId}', 'members/{userId}'])
    t.ok(
      [...found].some((name) => name?.endsWith(path)),
      path,
    )
  t.comment([...found].join(', '))
})

/** Gives anybody's project to whoever names it. */
function addForgetfulRoute(server: FastifyInstance): void {
  server.get<{ Params: { projectId: string } }>(
    FORGETFUL.replace('{projectId}', ':projectId'),
    { config: { access: 'self' }, schema: { operationId: 'forgetful', security: [{ apiKey: [] }] } },
    async ({ params }, reply) => {
      const { rows } = await server.postgres.withSystem((tx) =>
        tx.execute(sql`select name from projects where id = ${params.projectId}`),
      )
      return rows[0] ?? reply.code(404).send()
    },
  )
}
