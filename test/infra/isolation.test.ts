import { sql } from 'drizzle-orm'
import t, { type Test } from 'tap'
import { createPostgres } from '../../src/infra/postgres.ts'
import { catalogViolations } from '../helpers/isolation-catalog.ts'
import { openIsolationDatabase } from '../helpers/isolation-database.ts'
import { readTables, seedTwoTenants } from '../helpers/isolation-fixtures.ts'
import { matrixViolations } from '../helpers/isolation-matrix.ts'
import { CATALOG_MUTATIONS, DETOURS, type Mutation, type Watch, wallMutations } from '../helpers/isolation-mutations.ts'
import { poolSteps, residue } from '../helpers/isolation-pool.ts'
import { privilegeViolations } from '../helpers/isolation-privileges.ts'

const ROUNDS = 1200
const DEADLY_EVERY_ROUNDS = 41

const database = await openIsolationDatabase(t)
/** Of its own, because what is done to it breaks every wall in turn. */
const scratch = await openIsolationDatabase(t)
const tables = await readTables(database.admin)
const tenants = await seedTwoTenants(database.admin, tables)

t.test('every table is walled, and no role, view, function or key leads around a wall', async (t) => {
  t.same(await catalogViolations(database.admin), [])
})

t.test(
  'an organization reads and writes its own rows and no other, in every table and by every statement',
  async (t) => {
    t.same(await matrixViolations(database, tables, tenants), [])
  },
)

t.test('the roles of the server hold no privilege that leads around a wall', async (t) => {
  t.same(await privilegeViolations(database, tables, tenants), [])
})

/** Takes guards away one after the other, and asks who notices; `only` has them look at the table alone whose guards these are. */
async function takeAway(t: Test, mutations: readonly Mutation[], only?: string) {
  const furnish = async () => {
    const tables = await readTables(scratch.admin)
    return { tables, tenants: await seedTwoTenants(scratch.admin, tables) }
  }
  const furnished = only ? await furnish() : undefined
  for (const { table, statement, undo, noticedBy } of mutations) {
    await scratch.admin.query(statement)
    const { tables, tenants } = furnished ?? (await furnish())
    const watches: Record<Watch, () => Promise<string[]>> = {
      catalog: () => catalogViolations(scratch.admin),
      matrix: () => matrixViolations(scratch, tables, tenants, table),
      privileges: () => privilegeViolations(scratch, tables, tenants, only),
    }
    for (const watch of noticedBy) t.not((await watches[watch]()).length, 0, `${watch}: ${statement}`)
    await scratch.admin.query(undo)
    if (table === 'notes') continue
    // Without this, what one mutation left behind would be taken for the notice of the next.
    t.same(await watches.catalog(), [], `catalog: ${undo}`)
  }
}

t.test('a guard that is taken away is noticed, in the catalog and by what it lets through', async (t) => {
  for (const [table, mutations] of Map.groupBy(await wallMutations(scratch.admin, tables), ({ table }) => table))
    await takeAway(t, mutations, table)
  await takeAway(t, DETOURS)
})

t.test('a power or an object that leads around the walls is noticed in the catalog', async (t) => {
  for (const statement of CATALOG_MUTATIONS) {
    await scratch.admin.query('begin')
    await scratch.admin.query(statement)
    t.not((await catalogViolations(scratch.admin)).length, 0, statement)
    await scratch.admin.query('rollback')
  }
})

t.test('a column that the fixtures cannot fill stops the suite', async (t) => {
  await scratch.admin.query('begin')
  await scratch.admin.query('create table places (organization_id text not null, place point not null)')
  const mutated = await readTables(scratch.admin)
  await t.rejects(seedTwoTenants(scratch.admin, mutated), { message: /no sample for places\.place of the type point/ })
  await scratch.admin.query('rollback')
})

t.test(
  'no connection carries an organization or a role into the next transaction, whatever happened in this one',
  async (t) => {
    const postgres = createPostgres({ url: database.appUrl, poolMax: 1 })
    t.teardown(() => postgres.close())
    const { everyday, deadly } = poolSteps(postgres, database.admin)
    const faults: string[] = []
    for (let round = 0; round < ROUNDS; round++) {
      const steps = round % DEADLY_EVERY_ROUNDS === 0 ? deadly : everyday
      const { name, step } = pick(steps, round)
      const fault = (await step(own(round), own(round + 1))) ?? (await residue(postgres))
      if (fault) faults.push(`round ${round}, ${name}: ${fault}`)
    }
    t.same(faults, [])
  },
)

t.test('what a session carries on is noticed', async (t) => {
  const leaks = {
    organization: sql`select set_config('app.organization_id', ${own(0)}, false)`,
    role: sql`set role meterhouse_system`,
  }
  for (const [name, leak] of Object.entries(leaks)) {
    const postgres = createPostgres({ url: database.appUrl, poolMax: 1 })
    t.teardown(() => postgres.close())
    t.equal(await residue(postgres), undefined)
    await postgres.withTenant(own(0), (tx) => tx.execute(leak))
    t.match(await residue(postgres), 'came back', name)
  }
})

function own(round: number): string {
  return tenants[round % 2 === 0 ? 0 : 1].organizationId
}

/** Walks through the steps in an order in which each of them follows different ones. */
function pick<T>(steps: T[], round: number): T {
  const step = steps[(round * 7) % steps.length]
  if (!step) throw new Error('there are no steps')
  return step
}
