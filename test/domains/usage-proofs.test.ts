import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { sql } from 'drizzle-orm'
import t from 'tap'
import { createProofSigner, createProofsService } from '../../src/domains/billing/index.ts'
import { newId } from '../../src/ids.ts'
import { startBillingWorld } from '../helpers/billing-world.ts'
import { flatPlan } from '../helpers/plans.ts'
import type { TestTenant } from '../helpers/tenants.ts'

const world = await startBillingWorld(t, '2026-01-10T00:00:00Z')
const { postgres, meters, catalog } = world
await catalog.createPlanVersion({ planKey: 'flat', baseVersion: 0, terms: flatPlan }, newId('usr'))
const [alpha, beta] = [await world.tenant('flat'), await world.tenant('flat')]
const signer = createProofSigner({ seed: undefined, secret: 'a secret of the test, long enough', previousSecrets: [] })
const proofsWith = (changes: Partial<Parameters<typeof createProofsService>[0]> = {}) =>
  createProofsService({
    postgres,
    meters,
    signer,
    storedThrough: async () => world.now(),
    clock: world.now,
    ...changes,
  })
const proofs = proofsWith()

/** Events and the windows that say so. */
async function use(tenant: TestTenant, count: number, at: string, receivedAt = at) {
  await world.send(tenant, count, { at, receivedAt })
  const hour = `${at.slice(0, 13)}:00:00Z`
  await postgres.withSystem((tx) =>
    tx.execute(sql`insert into usage_windows (organization_id, project_id, window_start, events, revision)
      values (${tenant.organizationId}, ${tenant.projectId}, ${hour}::timestamptz, ${count}, 1) on conflict do nothing`),
  )
}
const allOf = async ({ organizationId }: TestTenant) => (await proofs.list(organizationId, { limit: 200 })).data
const documentOf = ({ document }: { document: string }) => JSON.parse(document)

async function verify(data: unknown, ...previous: string[]) {
  const folder = t.testdir({})
  const files = [join(folder, 'proofs.json'), join(folder, 'keys.json')] as const
  await writeFile(files[0], JSON.stringify(data))
  await writeFile(files[1], JSON.stringify({ data: signer.keys }))
  const run = promisify(execFile)(process.execPath, ['scripts/verify-usage-proof.js', ...files, ...previous])
  return run.then(
    ({ stdout }) => ({ code: 0, text: stdout }),
    ({ code, stderr }) => ({ code, text: String(stderr) }),
  )
}

await use(alpha, 5, '2026-01-10T03:10:00Z')
await use(alpha, 7, '2026-01-10T23:50:00Z')
await use(alpha, 2, '2026-01-12T08:00:00Z')
await use(beta, 3, '2026-01-10T08:00:00Z')

t.test('a day is proved once it is over, had its time, and all of it is stored', async (t) => {
  await world.to('2026-01-12T00:04:00Z')
  t.same(await proofs.proveDue(), { proved: 0, errors: [] })
  await world.to('2026-01-12T00:06:00Z')
  t.same(await proofsWith({ storedThrough: async () => new Date('2026-01-12T00:00:00Z') }).proveDue(), {
    proved: 0,
    errors: [],
  })
  t.same(await proofs.proveDue(), { proved: 2, errors: [] })
  const [proof] = await allOf(alpha)
  const [hours] = documentOf(proof as { document: string }).projects
  t.hasStrict(documentOf(proof as { document: string }), {
    day: '2026-01-10',
    events: '12',
    previousHash: '0'.repeat(64),
    late: [],
  })
  t.hasStrict(hours, {
    projectId: alpha.projectId,
    events: '12',
    hours: [
      { hour: 3, events: '5' },
      { hour: 23, events: '7' },
    ],
  })
  t.hasStrict((await allOf(beta)).map(documentOf), [{ events: '3', organizationId: beta.organizationId }])
})

t.test('of many who prove at once one continues the chain', async (t) => {
  await world.to('2026-01-14T00:06:00Z')
  const rounds = await Promise.all(Array.from({ length: 6 }, () => proofsWith().proveDue()))
  t.same(
    rounds.flatMap(({ errors }) => errors),
    [],
  )
  t.equal(
    rounds.reduce((sum, { proved }) => sum + proved, 0),
    1,
  )
  const [first, second, ...more] = await allOf(alpha)
  t.same(more, [])
  t.hasStrict(documentOf(second as { document: string }), { day: '2026-01-12', previousHash: first?.hash, events: '2' })
})

t.test('what came late for a day is named by the next proof, once', async (t) => {
  await use(alpha, 4, '2026-01-10T05:00:00Z', '2026-01-15T12:00:00Z')
  await use(alpha, 1, '2026-01-15T05:00:00Z')
  await use(alpha, 1, '2026-01-17T05:00:00Z')
  await world.to('2026-01-20T00:00:00Z')
  t.same(await proofs.proveDue(), { proved: 2, errors: [] })
  const [, , third, fourth] = (await allOf(alpha)).map(documentOf)
  t.hasStrict(third, { day: '2026-01-15', late: [{ day: '2026-01-10', projectId: alpha.projectId, events: '4' }] })
  t.match(fourth, { day: '2026-01-17', late: [] })
})

t.test('whoever has the proofs and the key can verify them with nothing of ours', async (t) => {
  const data = await allOf(alpha)
  t.match(await verify({ data, nextCursor: null }), { code: 0, text: /^4 proofs are whole and signed, over 16 events/ })
  t.match(await verify(data.slice(2), data[1]?.hash ?? ''), { code: 0 })
  t.match(await verify(data.slice(2), data[0]?.hash ?? ''), { code: 1, text: /does not follow/ })
})

t.test('one changed byte, a proof left out and a proof of somebody else are found', async (t) => {
  const data = await allOf(alpha)
  const [first] = data
  if (!first) throw new Error('there is no proof')
  const { document } = first
  for (const [index, character] of [...document].entries()) {
    // Every 40th byte, and all digits of counts: each run starts a process.
    if (index % 40 !== 0 && document.slice(index - 10, index) !== '"events":"') continue
    const changed = `${document.slice(0, index)}${character === '1' ? '2' : '1'}${document.slice(index + 1)}`
    const { code } = await verify([{ ...first, document: changed }])
    t.equal(code, 1, `byte ${index}`)
  }
  t.match(await verify(data.toSpliced(1, 1)), { code: 1, text: /2026-01-15: it does not follow the one before/ })
  const other = createProofSigner({ seed: undefined, secret: 'another secret, not the one above', previousSecrets: [] })
  t.match(await verify([{ ...first, ...other.sign(document) }]), { code: 1, text: /not among those that are trusted/ })
  const forged = { ...first, ...other.sign(document), keyId: first.keyId }
  t.match(await verify([forged]), { code: 1, text: /the signature is not that of the key/ })
})

t.test('a proof whose parts do not sum is found though it is signed', async (t) => {
  const [first] = await allOf(alpha)
  const document = first?.document.replace('"events":"5"', '"events":"6"') ?? ''
  const hash = createHash('sha256').update(document).digest('hex')
  const { code, text } = await verify([{ ...first, document, hash, ...signer.sign(document) }])
  t.match({ code, text }, { code: 1, text: /are not the sum of their parts/ })
})

t.test('neither role of the server can change or delete a proof', async (t) => {
  for (const statement of [sql`update usage_proofs set day = day`, sql`delete from usage_proofs`]) {
    await t.rejects(postgres.withSystem((tx) => tx.execute(statement)))
    await t.rejects(postgres.withTenant(alpha.organizationId, (tx) => tx.execute(statement)))
  }
})

t.test('a day whose events are being erased is not proved', async (t) => {
  await use(beta, 2, '2026-01-16T08:00:00Z')
  const keep = (from: string | null) =>
    postgres.withSystem((tx) =>
      tx.execute(sql`update projects set events_kept_from = ${from}::timestamptz where id = ${beta.projectId}`),
    )
  await keep('2026-01-17T00:00:00Z')
  t.same(await proofs.proveDue(), { proved: 0, errors: [] })
  await keep(null)
  t.same(await proofs.proveDue(), { proved: 1, errors: [] })
})

t.test('a configured seed signs, and the keys of earlier secrets are known on', (t) => {
  const seed = Buffer.alloc(32, 7).toString('base64')
  const rotated = createProofSigner({
    seed,
    secret: 'a newer secret of the test, long',
    previousSecrets: ['a secret of the test, long enough'],
  })
  t.equal(rotated.sign('x').keyId, rotated.keys[0]?.id)
  t.equal(rotated.keys.length, 3)
  t.ok(rotated.keys.some(({ id }) => id === signer.keys[0]?.id))
  t.end()
})
