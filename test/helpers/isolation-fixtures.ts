import { randomBytes } from 'node:crypto'
import { sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/node-postgres'
import type pg from 'pg'
import { SYSTEM_TABLES } from './isolation-catalog.ts'

export type Row = Record<string, unknown>

interface ForeignKey {
  name: string
  columns: string[]
  target: string
  targetColumns: string[]
}

/** A table as the catalog describes it, so that a new one is covered without a word here. */
export interface Table {
  name: string
  /** The column that says whose a row is; undefined for a table outside the organizations. */
  tenantColumn: string | undefined
  columns: { name: string; type: string; required: boolean }[]
  foreignKeys: ForeignKey[]
  /** Columns of every unique index over all rows, the primary key among them; an expression is null. */
  uniques: (string | null)[][]
}

/** One organization with one row in every tenant table. */
export interface Tenant {
  organizationId: string
  rows: Map<string, Row>
}

const TABLES = `
  select c.relname as name,
    case when c.relname = 'organizations' then 'id'
         when exists (select from pg_attribute where attrelid = c.oid and attname = 'organization_id') then 'organization_id'
    end as "tenantColumn",
    (select json_agg(json_build_object('name', attname, 'type', format_type(atttypid, null), 'required',
              attnotnull and not atthasdef and attidentity = '' and attgenerated = '') order by attnum)
       from pg_attribute where attrelid = c.oid and attnum > 0 and not attisdropped) as columns,
    (select coalesce(json_agg(json_build_object('name', conname, 'target', confrelid::regclass::text,
              'columns', (select json_agg(attname order by n) from unnest(conkey) with ordinality k(num, n)
                          join pg_attribute on attrelid = conrelid and attnum = num),
              'targetColumns', (select json_agg(attname order by n) from unnest(confkey) with ordinality k(num, n)
                                join pg_attribute on attrelid = confrelid and attnum = num))), '[]')
       from pg_constraint where conrelid = c.oid and contype = 'f') as "foreignKeys",
    (select coalesce(json_agg((select json_agg(attname order by n) from unnest(indkey::int2[]) with ordinality k(num, n)
              left join pg_attribute on attrelid = indrelid and attnum = num and num <> 0)), '[]')
       from pg_index where indrelid = c.oid and indisunique and indpred is null) as uniques
  from pg_class c
  where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
  order by c.relname`

/** The tables of the schema, every one after those that it refers to. */
export async function readTables(admin: pg.Client): Promise<Table[]> {
  const { rows } = await admin.query<Table>(TABLES)
  const ordered: Table[] = []
  const isPlaced = (name: string) => ordered.some((table) => table.name === name)
  while (ordered.length < rows.length) {
    const next = rows.filter(
      (table) =>
        !isPlaced(table.name) && table.foreignKeys.every(({ target }) => target === table.name || isPlaced(target)),
    )
    if (next.length === 0) throw new Error('the foreign keys of the schema form a circle')
    ordered.push(...next)
  }
  return ordered
}

/** Two organizations, each with one row in every tenant table, written past the walls. */
export async function seedTwoTenants(admin: pg.Client, tables: Table[]): Promise<[Tenant, Tenant]> {
  const seed = async (): Promise<Tenant> => {
    const tenant: Tenant = { organizationId: sampleText(), rows: new Map() }
    for (const table of tables.filter(({ tenantColumn }) => tenantColumn)) {
      const row = await newRow(admin, tables, table, tenant)
      await insert(admin, table, row)
      tenant.rows.set(table.name, row)
    }
    for (const table of tables.filter(({ name }) => SYSTEM_TABLES.includes(name))) {
      await newGlobalRow(admin, tables, table, tenant)
    }
    return tenant
  }
  const tenants: [Tenant, Tenant] = [await seed(), await seed()]
  // Statistics hold values of everybody's rows; without them it would prove nothing that nobody reads them.
  await admin.query('analyze')
  return tenants
}

/**
 * A row that would be valid in the tenant's organization and is not stored yet. The rows outside the organizations that it points
 * to (people) are stored, new ones each time, because such a pair is often unique.
 */
export async function newRow(admin: pg.Client, tables: Table[], table: Table, tenant: Tenant): Promise<Row> {
  const row: Row = {}
  for (const { name, type, required } of table.columns) if (required) row[name] = sample(table, name, type)
  for (const key of table.foreignKeys) {
    const target = tables.find(({ name }) => name === key.target)
    if (!target) throw new Error(`${key.name} points out of the schema`)
    const parent = target.tenantColumn
      ? tenant.rows.get(target.name)
      : await newGlobalRow(admin, tables, target, tenant)
    key.columns.forEach((column, index) => {
      row[column] = parent?.[key.targetColumns[index] ?? '']
    })
  }
  if (table.tenantColumn) row[table.tenantColumn] = tenant.organizationId
  return row
}

async function newGlobalRow(admin: pg.Client, tables: Table[], table: Table, tenant: Tenant): Promise<Row> {
  const row = await newRow(admin, tables, table, tenant)
  await insert(admin, table, row)
  if (!tenant.rows.has(table.name)) tenant.rows.set(table.name, row)
  return row
}

async function insert(admin: pg.Client, table: Table, row: Row): Promise<void> {
  await drizzle(admin).execute(insertOf(table, row))
}

export function insertOf(table: Table, row: Row) {
  const columns = Object.keys(row).map((name) => sql.identifier(name))
  const values = Object.values(row).map((value) => sql`${sql.param(value)}`)
  return sql`insert into ${sql.identifier(table.name)} (${sql.join(columns, sql`, `)}) values (${sql.join(values, sql`, `)})`
}

const sampleText = () => `fixture_${randomBytes(8).toString('hex')}`

let numbers = 0

const SAMPLES: Record<string, () => unknown> = {
  text: sampleText,
  'text[]': () => [],
  jsonb: () => '{}',
  // Never the same twice, as a number may be the part of a key that tells two rows apart.
  integer: () => ++numbers,
  bigint: () => ++numbers,
  boolean: () => true,
  'timestamp with time zone': () => new Date(),
}

function sample(table: Table, column: string, type: string): unknown {
  const make = SAMPLES[type]
  if (!make) throw new Error(`there is no sample for ${table.name}.${column} of the type ${type}: add one to SAMPLES`)
  return make()
}
