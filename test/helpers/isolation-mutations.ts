import type pg from 'pg'
import { SYSTEM_TABLES } from './isolation-catalog.ts'
import type { Table } from './isolation-fixtures.ts'

/** A part of the suite: the catalog sweep, the statements on every table, or the privileges of the roles. */
export type Watch = 'catalog' | 'matrix' | 'privileges'

/** One guard of one table taken away, how it is put back, and which parts of the suite must notice, each on its own. */
export interface Mutation {
  table: string
  statement: string
  undo: string
  noticedBy: Watch[]
}

interface Policy {
  table: string
  policy: string
  role: string
  definition: string
}

const POLICIES = `
  select tablename as table, policyname as policy, roles[1] as role,
    format('create policy %I on %I for %s to %I', policyname, tablename, cmd, roles[1])
      || coalesce(' using (' || qual || ')', '') || coalesce(' with check (' || with_check || ')', '') as definition
  from pg_policies order by 1, 2`

const SETTING = `current_setting('app.organization_id', true)`

/** Every policy and every table of the catalog in turn, so that a new table's guards are mutated too. */
export async function wallMutations(admin: pg.Client, tables: Table[]): Promise<Mutation[]> {
  const { rows: policies } = await admin.query<Policy>(POLICIES)
  return tables.flatMap(({ name: table, tenantColumn }) => {
    const noticedBy: Watch[] = ['catalog', tenantColumn ? 'matrix' : 'privileges']
    const own = policies.filter((policy) => policy.table === table)
    return [
      ...own.flatMap((policy) => policyMutations(policy, tenantColumn)),
      {
        statement: `alter table ${table} disable row level security`,
        undo: `alter table ${table} enable row level security`,
      },
      {
        statement: `alter table ${table} no force row level security`,
        undo: `alter table ${table} force row level security`,
      },
    ].map((mutation) => ({ noticedBy, ...mutation, table }))
  })
}

const isSystemTable = (table: string) => SYSTEM_TABLES.includes(table)

function policyMutations({ table, policy, role, definition }: Policy, tenantColumn: string | undefined) {
  const alter = (change: string) => ({
    statement: `alter policy ${policy} on ${table} ${change}`,
    undo: `drop policy ${policy} on ${table}; ${definition}`,
  })
  const drop = { statement: `drop policy ${policy} on ${table}`, undo: definition }
  // Where the app role has no grant either, a policy for it opens nothing yet: the next careless grant would.
  const opened = {
    ...alter('to meterhouse_system, meterhouse_app'),
    ...(isSystemTable(table) && { noticedBy: ['catalog'] as Watch[] }),
  }
  if (role === 'meterhouse_system') return [drop, opened]
  if (!tenantColumn) return [drop, alter('using (true)')]
  const failsOpen = `${tenantColumn} = ${SETTING} or coalesce(${SETTING}, '') = ''`
  return [drop, alter('using (true)'), alter('with check (true)'), alter(`using (${failsOpen})`)]
}

/** Ways around the walls that a careless migration could open and that let something through. */
export const DETOURS: Mutation[] = [
  {
    table: 'api_keys',
    statement: `alter table api_keys drop constraint api_keys_project,
      add constraint api_keys_project foreign key (project_id) references projects (id) on delete cascade`,
    undo: `alter table api_keys drop constraint api_keys_project,
      add constraint api_keys_project foreign key (organization_id, project_id) references projects (organization_id, id) on delete cascade`,
    noticedBy: ['catalog', 'matrix'],
  },
  {
    table: 'outbox',
    statement: 'grant truncate on outbox to meterhouse_app',
    undo: 'revoke truncate on outbox from meterhouse_app',
    noticedBy: ['catalog', 'privileges'],
  },
  {
    table: 'tracking_plan_versions',
    statement: 'grant update on tracking_plan_versions to meterhouse_app',
    undo: 'revoke update on tracking_plan_versions from meterhouse_app',
    noticedBy: ['catalog', 'matrix'],
  },
  {
    table: 'outbox',
    statement: 'alter table outbox owner to meterhouse_app',
    undo: `alter table outbox owner to meterhouse_owner; revoke all on outbox from meterhouse_app;
      grant select, insert, update, delete on outbox to meterhouse_app`,
    noticedBy: ['catalog', 'privileges'],
  },
  {
    table: 'organizations',
    statement: 'grant update (frozen_at) on organizations to meterhouse_app',
    undo: 'revoke update (frozen_at) on organizations from meterhouse_app',
    noticedBy: ['catalog', 'privileges'],
  },
  {
    table: 'organizations',
    statement: 'grant update on organizations to meterhouse_app',
    undo: `revoke update on organizations from meterhouse_app;
      grant update (name, deletes_at) on organizations to meterhouse_app`,
    noticedBy: ['catalog', 'privileges'],
  },
  {
    table: 'users',
    statement: 'grant select (password_hash) on users to meterhouse_app',
    undo: 'revoke select (password_hash) on users from meterhouse_app',
    noticedBy: ['catalog', 'privileges'],
  },
  {
    table: 'sessions',
    statement: 'grant select (user_id) on sessions to meterhouse_app',
    undo: 'revoke select (user_id) on sessions from meterhouse_app',
    noticedBy: ['catalog', 'privileges'],
  },
  {
    table: '__drizzle_migrations',
    statement: 'grant delete on drizzle.__drizzle_migrations to meterhouse_app',
    undo: 'revoke delete on drizzle.__drizzle_migrations from meterhouse_app',
    noticedBy: ['catalog', 'privileges'],
  },
  {
    table: 'projects',
    statement: 'grant create on schema public to meterhouse_app',
    undo: 'revoke create on schema public from meterhouse_app',
    noticedBy: ['catalog', 'privileges'],
  },
  {
    table: 'notes',
    statement: `create table notes (organization_id text references organizations on delete cascade, id text,
      primary key (organization_id, id)); grant all on notes to meterhouse_app, meterhouse_system`,
    undo: 'drop table notes',
    noticedBy: ['catalog', 'matrix'],
  },
]

/** What the catalog alone can show, and what belongs to the whole cluster, which other tests use: looked at and rolled back. */
export const CATALOG_MUTATIONS = [
  'create unique index memberships_one on memberships (user_id)',
  'alter table outbox drop constraint outbox_organization_id_id_pk',
  'create table notes (id text)',
  'create view notes as select * from projects',
  'create materialized view notes as select * from projects',
  `create function notes() returns bigint language sql security definer as 'select count(*) from projects'`,
  'create policy more on projects to meterhouse_app using (true)',
  'create policy more on projects using (true)',
  'grant references on outbox to meterhouse_app',
  'grant trigger on outbox to meterhouse_app',
  'grant insert on users to meterhouse_app',
  'grant update (name) on users to meterhouse_app',
  'grant select on users to meterhouse_app',
  'grant select on projects to public',
  'grant select on projects to meterhouse_app with grant option',
  'alter default privileges in schema public grant select on tables to meterhouse_app',
  'alter role meterhouse_app superuser',
  'alter role meterhouse_app bypassrls',
  'alter role meterhouse_system bypassrls',
  'alter role meterhouse_owner bypassrls',
  'alter role meterhouse_app createrole',
  'grant meterhouse_owner to meterhouse_app',
  'grant pg_read_all_data to meterhouse_app',
  'grant pg_read_all_data to meterhouse_system',
  'grant meterhouse_system to meterhouse_app with inherit true',
  'grant meterhouse_system to meterhouse_app with admin option',
]
