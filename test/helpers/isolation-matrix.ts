import { type SQL, sql } from 'drizzle-orm'
import { APPEND_ONLY_TABLES, KEPT_TABLES, UPDATABLE_COLUMNS } from './isolation-catalog.ts'
import type { IsolationDatabase } from './isolation-database.ts'
import { insertOf, newRow, type Row, type Table, type Tenant } from './isolation-fixtures.ts'
import { type Probe, violationsOf } from './isolation-probe.ts'

const DENIED = '42501'
const FOREIGN_KEY_MISSING = '23503'
const UNIQUE_TAKEN = '23505'

/**
 * Tries every statement of every table: as each of two organizations, as nobody, as the system role and as the owner.
 * Gives one line for everything that was allowed and should not be, or refused and should not be. `only` names a single table.
 */
export async function matrixViolations(
  database: IsolationDatabase,
  tables: Table[],
  [alpha, beta]: [Tenant, Tenant],
  only?: string,
): Promise<string[]> {
  const violations: string[] = []
  const run = async (who: string, attempt: IsolationDatabase['bare'], probes: Probe[]) => {
    violations.push(...(await violationsOf(who, attempt, probes)))
  }
  for (const table of tables.filter(({ name, tenantColumn }) => tenantColumn && (only ?? name) === name)) {
    for (const [name, own, other] of [['alpha', alpha, beta] as const, ['beta', beta, alpha] as const]) {
      const rows = await probeRows(database, tables, table, own, other)
      await run(name, database.tenant(own.organizationId), asGranted(table, tenantProbes(table, own, other, rows)))
      for (const probe of foreignKeyProbes(tables, table, own, other, rows)) {
        violations.push(...(await probe(name, database.tenant(own.organizationId))))
      }
    }
    const strangers = {
      nobody: database.bare,
      'an empty id': database.tenant(''),
      'an unknown id': database.tenant('org_unknown'),
    }
    const row = await newRow(database.admin, tables, table, alpha)
    for (const [who, attempt] of Object.entries(strangers)) {
      await run(who, attempt, asGranted(table, strangerProbes(table, alpha, row)))
    }
    await run('the owner', database.owner, [{ name: `reads ${table.name}`, statements: [selectOf(table)], count: 0 }])
    await run('the system role', database.system, asGranted(table, systemProbes(table, alpha, beta, row)))
  }
  return violations
}

/** Whether an organization has one row of it at most. */
const isTheTenant = (table: Table) =>
  table.uniques.some((columns) => columns.length === 1 && columns[0] === table.tenantColumn)
const isAppendOnly = (table: Table) => APPEND_ONLY_TABLES.includes(table.name)

/** What nobody may do to a table, one's own rows among it. */
function deniedIn(table: Table): RegExp | undefined {
  if (isAppendOnly(table)) return /: (update|delete|select for update|upsert by)/
  return KEPT_TABLES.includes(table.name) ? /: delete/ : undefined
}

function asGranted(table: Table, probes: Probe[]): Probe[] {
  const denied = deniedIn(table)
  if (!denied) return probes
  return probes.map(({ count, ...probe }) =>
    denied.test(probe.name) ? { ...probe, refused: DENIED } : { count, ...probe },
  )
}

interface ProbeRows {
  /** Would be valid in the own organization. */
  fresh: Row
  /** Would be valid in the other organization: only the wall can refuse it. */
  smuggled: Row
  /** Stored in the other organization. */
  stored: Row
}

async function probeRows(
  { admin }: IsolationDatabase,
  tables: Table[],
  table: Table,
  own: Tenant,
  other: Tenant,
): Promise<ProbeRows> {
  const stored = other.rows.get(table.name)
  if (!stored) throw new Error(`${table.name} has no fixture row`)
  return { fresh: await newRow(admin, tables, table, own), smuggled: await newRow(admin, tables, table, other), stored }
}

const name = (table: Table) => sql.identifier(table.name)
const tenantColumn = (table: Table) => sql.identifier(table.tenantColumn ?? '')
const selectOf = (table: Table) => sql`select 1 from ${name(table)}`
const of = (table: Table, tenant: Tenant) => sql`where ${tenantColumn(table)} = ${tenant.organizationId}`
/** Changes nothing and still counts every row that it may touch. */
const touch = (table: Table) => {
  const column = sql.identifier(UPDATABLE_COLUMNS[table.name]?.[0] ?? table.tenantColumn ?? '')
  return sql`update ${name(table)} set ${column} = ${column}`
}
const move = (table: Table, to: Tenant) => sql`update ${name(table)} set ${tenantColumn(table)} = ${to.organizationId}`

function upsertOf(table: Table, row: Row, conflictColumns: string[]): SQL {
  const target = sql.join(
    conflictColumns.map((column) => sql.identifier(column)),
    sql`, `,
  )
  return sql`${insertOf(table, row)} on conflict (${target}) do update set ${tenantColumn(table)} = excluded.${tenantColumn(table)}`
}

function tenantProbes(table: Table, own: Tenant, other: Tenant, { fresh, smuggled, stored }: ProbeRows): Probe[] {
  const probe = (what: string, expected: Pick<Probe, 'count' | 'refused'>, ...statements: SQL[]) => ({
    name: `${table.name}: ${what}`,
    statements,
    ...expected,
  })
  return [
    probe('select gives its own row', { count: 1 }, selectOf(table)),
    probe('select where it is the other’s', { count: 0 }, sql`${selectOf(table)} ${of(table, other)}`),
    probe(
      'select for update where it is the other’s',
      { count: 0 },
      sql`${selectOf(table)} ${of(table, other)} for update`,
    ),
    probe('copy gives its own row', { count: 1 }, sql`copy ${name(table)} to stdout`),
    // An organization exists once, so a second row of its own meets the primary key and not the wall.
    probe('insert of its own', isTheTenant(table) ? { refused: UNIQUE_TAKEN } : { count: 1 }, insertOf(table, fresh)),
    probe('insert into the other', { refused: DENIED }, insertOf(table, smuggled)),
    probe(
      'insert over the other’s row, do nothing',
      { refused: DENIED },
      sql`${insertOf(table, stored)} on conflict do nothing`,
    ),
    ...table.uniques.map((columns) => upsertProbe(table, columns, { fresh, stored })),
    probe('update touches its own row', { count: 1 }, touch(table)),
    probe('update where it is the other’s', { count: 0 }, sql`${touch(table)} ${of(table, other)}`),
    probe('update moves its row to the other', { refused: DENIED }, move(table, other)),
    probe(
      'update takes the other’s row',
      UPDATABLE_COLUMNS[table.name] ? { refused: DENIED } : { count: 0 },
      sql`${move(table, own)} ${of(table, other)}`,
    ),
    probe('delete takes its own row', { count: 1 }, ...withoutUse(table), sql`delete from ${name(table)}`),
    probe('delete where it is the other’s', { count: 0 }, sql`delete from ${name(table)} ${of(table, other)}`),
    probe(
      'the end of the organization leaves the other’s row',
      { count: 1 },
      sql`delete from organizations`,
      sql`set local role meterhouse_system`,
      sql`${selectOf(table)} ${of(table, other)}`,
    ),
  ]
}

/** The other's row is aimed at through each of its unique keys, with an organization of one's own where the key leaves it open. */
function upsertProbe(table: Table, columns: (string | null)[], { fresh, stored }: Omit<ProbeRows, 'smuggled'>): Probe {
  const key = columns.map((column) => {
    if (column === null)
      throw new Error(`${table.name} is unique by an expression, which the upsert probe cannot aim at`)
    return column
  })
  const row = { ...fresh, ...Object.fromEntries(key.map((column) => [column, stored[column]])) }
  return {
    name: `${table.name}: upsert by ${key.join(', ')}`,
    statements: [upsertOf(table, row, key)],
    refused: DENIED,
  }
}

/** A reference to the other's row must fail exactly as one to a row that nobody has, or it tells which ids exist. */
function foreignKeyProbes(tables: Table[], table: Table, own: Tenant, other: Tenant, { fresh }: ProbeRows) {
  const references = table.foreignKeys.flatMap(({ columns, target, targetColumns }) => {
    const targetTable = tables.find((candidate) => candidate.name === target)
    return columns.flatMap((column, index) => {
      const targetColumn = targetColumns[index] ?? ''
      if (!targetTable?.tenantColumn || targetColumn === targetTable.tenantColumn) return []
      return [{ column, foreign: other.rows.get(target)?.[targetColumn] }]
    })
  })
  const expected = (verb: string) => (verb === 'update' && isAppendOnly(table) ? DENIED : FOREIGN_KEY_MISSING)
  return references.flatMap(({ column, foreign }) => {
    const statements = {
      insert: (value: unknown) => insertOf(table, { ...fresh, [column]: value }),
      update: (value: unknown) => sql`update ${name(table)} set ${sql.identifier(column)} = ${value} ${of(table, own)}`,
    }
    return Object.entries(statements).map(
      ([verb, statement]) =>
        async (who: string, attempt: IsolationDatabase['bare']): Promise<string[]> => {
          const [taken, absent] = [await attempt(statement(foreign)), await attempt(statement(`${foreign}0`))]
          const same = taken.refused === absent.refused && taken.message === absent.message
          if (same && taken.refused === expected(verb)) return []
          return [
            `${who} ${table.name}: ${verb} of a foreign ${column} gave ${taken.refused ?? 'success'}, an absent one ${absent.refused}`,
          ]
        },
    )
  })
}

function strangerProbes(table: Table, tenant: Tenant, row: Row): Probe[] {
  const stored = tenant.rows.get(table.name) ?? {}
  const probe = (what: string, statement: SQL, refused?: string): Probe =>
    refused
      ? { name: `${table.name}: ${what}`, statements: [statement], refused }
      : { name: `${table.name}: ${what}`, statements: [statement], count: 0 }
  return [
    probe('select', selectOf(table)),
    probe('select for update', sql`${selectOf(table)} for update`),
    probe('copy', sql`copy ${name(table)} to stdout`),
    probe('update', touch(table)),
    probe('delete', sql`delete from ${name(table)}`),
    probe('insert', insertOf(table, row), DENIED),
    probe('upsert', sql`${insertOf(table, stored)} on conflict do nothing`, DENIED),
  ]
}

/** A role that a member has cannot be deleted, so that its members leave first. */
const withoutUse = (table: Table): SQL[] => (table.name === 'roles' ? [sql`delete from memberships`] : [])

function systemProbes(table: Table, tenant: Tenant, other: Tenant, row: Row): Probe[] {
  const ofBoth = sql`where ${tenantColumn(table)} in (${tenant.organizationId}, ${other.organizationId})`
  const probe = (what: string, count: number, ...statements: SQL[]) => ({
    name: `${table.name}: ${what}`,
    statements,
    count,
  })
  return [
    probe('select gives the rows of both', 2, sql`${selectOf(table)} ${ofBoth}`),
    probe('update', 1, sql`${touch(table)} ${of(table, tenant)}`),
    probe('delete', 1, ...withoutUse(table), sql`delete from ${name(table)} ${of(table, tenant)}`),
    probe('upsert', isTheTenant(table) ? 0 : 1, sql`${insertOf(table, row)} on conflict do nothing`),
  ]
}
