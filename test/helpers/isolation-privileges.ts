import { type SQL, sql } from 'drizzle-orm'
import { SYSTEM_TABLES } from './isolation-catalog.ts'
import type { IsolationDatabase } from './isolation-database.ts'
import type { Table, Tenant } from './isolation-fixtures.ts'
import { type Probe, violationsOf } from './isolation-probe.ts'

const DENIED = '42501'
const NOT_SUPPORTED = '0A000'

/** Ways past the walls that need a privilege which neither of the server's roles may have. */
const ESCAPES = [
  'create table public.stolen (id text)',
  'create schema stolen',
  `create function public.stolen() returns int language sql security definer as 'select 1'`,
  'alter table projects disable row level security',
  'alter table projects no force row level security',
  'drop policy tenant on projects',
  'create policy open on projects using (true)',
  'alter role meterhouse_app bypassrls',
  'grant meterhouse_owner to meterhouse_app',
  'set role meterhouse_owner',
  'set role postgres',
  'set session authorization postgres',
  'set session_replication_role = replica',
  'select * from pg_authid',
  `select pg_read_file('/etc/passwd')`,
  `select pg_ls_dir('/')`,
  `copy projects to '/tmp/stolen'`,
  `copy (select 1) to program 'id'`,
  `copy outbox from '/etc/passwd'`,
  'delete from drizzle.__drizzle_migrations',
]

const idOf = (tenant: Tenant) => tenant.rows.get('users')?.id

/** What only a membership shows: an organization reads its own people, without their secrets, and writes none. */
function peopleProbes(own: Tenant, other: Tenant): Probe[] {
  const probe = (name: string, statement: SQL, expected: Pick<Probe, 'count' | 'refused'>) => ({
    name: `users: ${name}`,
    statements: [statement],
    ...expected,
  })
  return [
    probe('select gives the own member', sql`select id, email, name, created_at from users`, { count: 1 }),
    probe('select of the own member', sql`select id from users where id = ${idOf(own)}`, { count: 1 }),
    probe('select of the other’s member', sql`select id from users where id = ${idOf(other)}`, { count: 0 }),
    probe('select of a password hash', sql`select password_hash from users`, { refused: DENIED }),
    probe('filter by a password hash', sql`select id from users where password_hash like 'a%'`, { refused: DENIED }),
    probe('copy', sql`copy users to stdout`, { refused: DENIED }),
    probe('insert', sql`insert into users (id, email, name, password_hash) values ('a', 'a', 'a', 'a')`, {
      refused: DENIED,
    }),
    probe('update', sql`update users set email = 'stolen'`, { refused: DENIED }),
    probe('delete', sql`delete from users`, { refused: DENIED }),
  ]
}

/** Whether an organization is frozen is the operator's to say, and never its own. */
function freezeProbes(): Probe[] {
  const columns = ['frozen_at', 'frozen_reason', 'created_at', 'id'] as const
  return columns.map((column) => ({
    name: `organizations: update of ${column}`,
    statements: [sql`update organizations set ${sql.identifier(column)} = default`],
    refused: DENIED,
  }))
}

/** What sign-ins are made of: the app role is refused every statement, whoever it acts for. */
function secretProbes(): Probe[] {
  return SYSTEM_TABLES.flatMap((table) => {
    const name = sql.identifier(table)
    const statements = {
      select: sql`select 1 from ${name}`,
      'select of a column': sql`select ${sql.identifier(table === 'sessions' ? 'user_id' : 'created_at')} from ${name}`,
      insert: sql`insert into ${name} default values`,
      update: sql`update ${name} set created_at = now()`,
      delete: sql`delete from ${name}`,
    }
    return Object.entries(statements).map(([what, statement]) => ({
      name: `${table}: ${what}`,
      statements: [statement],
      refused: DENIED,
    }))
  })
}

const countProbes = (count: number): Probe[] =>
  SYSTEM_TABLES.map((table) => ({
    name: `${table}: select`,
    statements: [sql`select 1 from ${sql.identifier(table)} limit 1`],
    count,
  }))

function tableEscapes(tables: Table[]): Probe[] {
  return tables.flatMap((table) => {
    const name = sql.identifier(table.name)
    const probe = (what: string, refused: string, ...statements: SQL[]) => ({
      name: `${table.name}: ${what}`,
      statements,
      refused,
    })
    return [
      probe('truncate', DENIED, sql`truncate ${name} cascade`),
      probe('row_security = off', DENIED, sql`set local row_security = off`, sql`select 1 from ${name}`),
      probe('alter', DENIED, sql`alter table ${name} add column stolen text`),
      ...(table.tenantColumn ? [probe('copy from', NOT_SUPPORTED, sql`copy ${name} from stdin`)] : []),
    ]
  })
}

/**
 * Tries what neither role may do whatever the organization is, and what an organization may know of people. `only` leaves what is about a
 * single table.
 */
export async function privilegeViolations(
  database: IsolationDatabase,
  tables: Table[],
  [alpha, beta]: [Tenant, Tenant],
  only?: string,
) {
  // They hold values of everybody's rows.
  const statistics: Probe = {
    name: 'reads the statistics of a table',
    statements: [sql`select * from pg_stats where schemaname = 'public'`],
    count: 0,
  }
  const escapes = ESCAPES.map((text) => ({ name: text, statements: [sql.raw(text)], refused: DENIED }))
  const violations: string[] = []
  const run = async (who: string, attempt: IsolationDatabase['bare'], probes: Probe[]) => {
    const wanted = probes.filter(({ name }) => only === undefined || name.startsWith(`${only}: `))
    violations.push(...(await violationsOf(who, attempt, wanted)))
  }
  for (const [own, other] of [
    [alpha, beta],
    [beta, alpha],
  ] as const) {
    const attempt = database.tenant(own.organizationId)
    await run('a tenant', attempt, [...escapes, ...tableEscapes(tables), statistics])
    await run('a tenant', attempt, [...peopleProbes(own, other), ...freezeProbes(), ...secretProbes()])
  }
  const withoutSwitch = tableEscapes(tables).filter(({ name }) => !name.endsWith('row_security = off'))
  await run('the system role', database.system, [...escapes, ...withoutSwitch])
  const everybody = {
    name: 'users: everybody',
    statements: [sql`select password_hash from users where id in (${idOf(alpha)}, ${idOf(beta)})`],
  }
  await run('the system role', database.system, [{ ...everybody, count: 2 }, ...countProbes(1)])
  const people = [{ name: 'users: select', statements: [sql`select id from users`], count: 0 }]
  await run('nobody', database.bare, [...people, ...secretProbes()])
  await run('the owner', database.owner, [...people, ...countProbes(0)])
  return violations
}
