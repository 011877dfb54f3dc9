import { Readable } from 'node:stream'
import t from 'tap'
import { generateKey } from '../../src/domains/projects/keys.ts'
import { Problem } from '../../src/errors.ts'
import { createFailureLimit, networkOf } from '../../src/http/failed-authentications.ts'
import { authorized, eventually, startTestApp } from '../helpers/app.ts'
import { createTwoTenants } from '../helpers/tenants.ts'

const MAX = 5
const { app } = await startTestApp(t, { METERHOUSE_FAILED_AUTHENTICATIONS_PER_MINUTE: String(MAX) })

/** A body that counts what is read of it. */
function countedBody(key: string) {
  const body = { read: 0, stream: new Readable({ read() {} }) }
  body.stream = new Readable({
    read() {
      body.read++
      this.push(JSON.stringify({ writeKey: key, event: 'Seen' }))
      this.push(null)
    },
  })
  return body
}

let addresses = 0
const newAddress = () => `203.0.113.${++addresses}`

async function send(key: string, remoteAddress: string, url = '/v1/t') {
  const body = countedBody(key)
  const headers = { 'content-type': 'text/plain' }
  const answer = await app.inject({ method: 'POST', url, headers, payload: body.stream, remoteAddress })
  return { answer, status: answer.statusCode, read: body.read }
}

t.test('an address that only fails is turned away before its body is read, and no other is', async (t) => {
  const [alpha] = await createTwoTenants(app)
  const remoteAddress = newAddress()
  for (let i = 0; i < MAX; i++) t.equal((await send(generateKey('write'), remoteAddress)).status, 401)
  const refused = await send(alpha.writeKey, remoteAddress)
  t.match([refused.status, refused.answer.json().code, refused.read], [429, 'auth.too_many_failures', 0])
  const seconds = Number(refused.answer.headers['retry-after'])
  t.ok(seconds >= 1 && seconds <= 60, `${seconds} s`)
  const captured = await send(alpha.writeKey, remoteAddress, '/e/')
  t.match([captured.status, captured.read], [503, 0], "PostHog's browser library would drop its events on a 429")
  t.equal((await send(alpha.writeKey, newAddress())).status, 200)
})

t.test('a good key clears its address, so that nobody pays for a neighbor for long', async (t) => {
  const [alpha, beta] = await createTwoTenants(app)
  const remoteAddress = newAddress()
  for (let round = 0; round < 3; round++) {
    for (let i = 0; i < MAX - 1; i++) t.equal((await send(generateKey('write'), remoteAddress)).status, 401)
    t.equal((await send(round % 2 ? alpha.writeKey : beta.writeKey, remoteAddress)).status, 200)
  }
})

t.test('keys in the header count too, and a key that lacks a scope is no failure', async (t) => {
  const [alpha] = await createTwoTenants(app)
  const remoteAddress = newAddress()
  const status = async (key: string) => {
    const request = { method: 'POST', url: '/v1/events', payload: { event: 'Seen' }, remoteAddress } as const
    return (await app.inject(authorized(key, request))).statusCode
  }
  for (let i = 0; i < MAX + 1; i++) t.equal(await status(alpha.apiKey), 403)
  for (let i = 0; i < MAX; i++) t.equal(await status(generateKey('write')), 401)
  t.equal(await status(alpha.writeKey), 429)
  const url = `/v1/projects/${alpha.projectId}/usage?from=2026-01-01&to=2026-01-02&interval=day`
  t.equal((await app.inject(authorized(alpha.apiKey, { url, remoteAddress }))).statusCode, 200, 'readers are not meant')
})

t.test('the count ends with its window, however often it goes on, and is one per network', async (t) => {
  const limit = createFailureLimit(2, 500)
  const refuses = (ip: string) => {
    try {
      limit.check(ip)
      return false
    } catch (error) {
      return error instanceof Problem && error.status === 429
    }
  }
  for (const ip of ['2001:db8:0:1::1', '2001:db8::1:ffff:0:0:9']) limit.failed(ip)
  t.ok(refuses('2001:db8:0:1:a:b:c:d'))
  t.notOk(refuses('2001:db8:0:2::1'))
  await eventually('the end of the window', async () => {
    const over = !refuses('2001:db8:0:1::1')
    if (!over) limit.failed('2001:db8:0:1::1')
    return over
  })
})

t.test('an address is itself in IPv4, and its /64 in IPv6, however it is written', (t) => {
  const NETWORKS = {
    '192.0.2.1': '192.0.2.1',
    '::ffff:192.0.2.1': '192.0.2.1',
    '::1': '0:0:0:0',
    '2001:db8::': '2001:db8:0:0',
    '2001:0DB8:0:1:2:3:4:5': '2001:db8:0:1',
    '2001:db8:a:b::9%eth0': '2001:db8:a:b',
  }
  for (const [ip, network] of Object.entries(NETWORKS)) t.equal(networkOf(ip), network, ip)
  t.end()
})
