import { setTimeout as delay } from 'node:timers/promises'
import { call, enter, expect, findInbox, say } from './person.ts'

/**
 * Walks through a running server as two people would: register, prove the address with the mail from the inbox, make an organization,
 * invite a colleague, give and take a role, make a key and revoke it. Prints what each step showed, and fails at the first that is not
 * as it should be.
 *
 *     METERHOUSE_URL=http://localhost:3000 npm run walk
 */
const REVOCATION_PROMISE_MS = 5000

const readMail = await findInbox()
const ada = await enter(readMail, 'Ada', 'Walk')
const me = await expect(200, 'GET', '/v1/me', { token: ada.token })
const organization = `/v1/organizations/${me.memberships[0].organizationId}`
const project = await expect(201, 'POST', `${organization}/projects`, { token: ada.token, body: { name: 'Shop' } })
say(`Ada made the project ${project.id} in Walk`)

const bob = await enter(readMail, 'Bob')
await expect(404, 'GET', `/v1/projects/${project.id}`, { token: bob.token })
const invited = { email: bob.email, role: 'analyst' }
await expect(201, 'POST', `${organization}/invitations`, { token: ada.token, body: invited })
const invitation = await readMail(bob.email, /invite/i)
await expect(200, 'POST', '/v1/invitations/accept', { token: bob.token, body: { token: invitation } })
await expect(200, 'GET', `/v1/projects/${project.id}`, { token: bob.token })
say('Bob could not see the project, was invited, accepted and sees it')

const keys = `/v1/projects/${project.id}/api-keys`
const wanted = { name: 'reports', kind: 'api', scopes: ['query:read'] }
await expect(403, 'POST', keys, { token: bob.token, body: wanted })
const { userId } = (await expect(200, 'GET', `${organization}/members`, { token: ada.token })).data.find(
  (member: { email: string }) => member.email === bob.email,
)
await expect(200, 'PATCH', `${organization}/members/${userId}`, { token: ada.token, body: { role: 'developer' } })
const key = await expect(201, 'POST', keys, { token: bob.token, body: wanted })
say('Bob could make no key as an analyst, became a developer and made one')

const events = `/v1/projects/${project.id}/events`
await expect(200, 'GET', events, { token: key.key })
await expect(204, 'DELETE', `${keys}/${key.id}`, { token: bob.token })
const revokedAt = performance.now()
while ((await call('GET', events, { token: key.key })).status !== 401) {
  if (performance.now() - revokedAt > REVOCATION_PROMISE_MS) throw new Error('the revoked key still acts after 5 s')
  await delay(20)
}
say(`the key read events, was revoked, and was refused ${(performance.now() - revokedAt).toFixed(0)} ms later`)

const log = await expect(200, 'GET', `${organization}/audit-log`, { token: ada.token })
say(`the audit log says: ${log.data.map(({ action }: { action: string }) => action).join(', ')}`)
