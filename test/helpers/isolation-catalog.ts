import type pg from 'pg'

/** Unique without the organization, and why that tells a tenant nothing about another: the values cannot be guessed. */
const UNGUESSABLE_INDEXES = [
  'projects_id',
  'api_keys_hash',
  'invitations_token',
  'billing_accounts_stripe',
  'subscriptions_stripe',
]

/** Tables outside the organizations, with the columns of them that a tenant transaction may read. */
const GLOBAL_TABLES = { users: ['id', 'email', 'name', 'created_at'] }

/** Tables outside the organizations that no tenant transaction may see at all. */
export const SYSTEM_TABLES = [
  'sessions',
  'refresh_tokens',
  'mailbox_proofs',
  'user_identities',
  'second_factors',
  'recovery_codes',
  'plans',
  'plan_versions',
  'coupons',
  'invoice_numbers',
  'stripe_events',
  'stripe_leases',
]

/** Tables whose rows nobody changes or deletes: neither role may, whatever the policies say. They go with their organization. */
export const APPEND_ONLY_TABLES = [
  'tracking_plan_versions',
  'tracking_plan_schemas',
  'audit_entries',
  'plan_versions',
  'custom_plan_versions',
  'subscription_phases',
  'redeemed_coupons',
  'meters',
  'invoice_lines',
  'credit_notes',
  'payments',
  'credit_entries',
  'quota_transitions',
]

/** Tables whose rows change and are never deleted, except with their organization. */
export const KEPT_TABLES = ['billing_accounts', 'subscriptions', 'billing_periods', 'billing_charges']

/** Tables of which an organization's transactions may change these columns only. The others are written by the system role. */
export const UPDATABLE_COLUMNS: Record<string, string[]> = {
  organizations: ['name', 'deletes_at', 'requires_second_factor'],
}

const TABLES = `with tables as (
  select c.oid, c.relname::text as name, c.relrowsecurity, c.relforcerowsecurity, tenant.attnum as tenant_number,
         tenant.attname::text as tenant
  from pg_class c
  left join pg_attribute tenant on tenant.attrelid = c.oid
    and tenant.attname = case when c.relname = 'organizations' then 'id' else 'organization_id' end
  where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
), user_schemas as (
  select oid, nspname from pg_namespace where nspname !~ '^pg_' and nspname <> 'information_schema'
)`

const OWN_ROWS = `format('(%s = ( SELECT NULLIF(current_setting(''app.organization_id''::text, true), ''''::text) AS "nullif"))', tenant)`

/** Each statement gives one line for each fault that it finds. */
const CHECKS = [
  // Every table is walled, for its owner too.
  `select name || ': row-level security is not enabled' from tables where not relrowsecurity`,
  `select name || ': row-level security is not forced, so its owner walks past it' from tables where not relforcerowsecurity`,
  `select name || ': has no organization_id and is not among the global tables' from tables
   where tenant is null and name <> all ($1 || $5)`,
  `select name || ': the app role has no policy, or more than one, for its own rows in both directions' from tables
   where tenant is not null and (
     select count(*) filter (where cmd = 'ALL' and qual = ${OWN_ROWS} and with_check = ${OWN_ROWS}) <> 1 or count(*) <> 1
     from pg_policies where schemaname = 'public' and tablename = name and permissive = 'PERMISSIVE' and 'meterhouse_app' = any (roles))`,
  `select name || ': the app role has a policy, and must not see it' from tables
   where name = any ($5) and exists (select from pg_policies
     where schemaname = 'public' and tablename = name and 'meterhouse_app' = any (roles))`,
  `select name || ': the app role must have one policy, for reading, that asks for a membership' from tables
   where tenant is null and name <> all ($5) and (
     select count(*) filter (where cmd = 'SELECT' and qual like '%memberships%') <> 1 or count(*) <> 1
     from pg_policies where schemaname = 'public' and tablename = name and permissive = 'PERMISSIVE' and 'meterhouse_app' = any (roles))`,
  `select name || ': the system role has no policy for all rows' from tables
   where not exists (select from pg_policies where schemaname = 'public' and tablename = name and cmd = 'ALL'
     and roles = '{meterhouse_system}' and qual = 'true' and with_check = 'true')`,
  `select tablename || '.' || policyname || ': is for the roles ' || roles::text from pg_policies
   where cardinality(roles) <> 1 or roles[1] not in ('meterhouse_app', 'meterhouse_system')`,

  // Keys and indexes keep to one organization.
  `select name || ': no index is led by ' || tenant from tables
   where tenant is not null and not exists (
     select from pg_index where indrelid = tables.oid and indkey[0] = tenant_number and indisvalid and indpred is null)`,
  `select i.indexrelid::regclass || ': is unique across organizations, so it tells one what another has'
   from tables join pg_index i on i.indrelid = tables.oid join pg_class c on c.oid = i.indexrelid
   where tenant is not null and i.indisunique and tenant_number <> all (i.indkey::int2[]) and c.relname <> all ($2)`,
  `select k.conname || ': the foreign key does not compare the organization of both sides'
   from pg_constraint k join tables on tables.oid = k.conrelid left join tables target on target.oid = k.confrelid
   where k.contype = 'f' and (target.tenant is not null or target.oid is null) and not exists (
     select from unnest(k.conkey, k.confkey) as pair (near, far) where near = tables.tenant_number and far = target.tenant_number)`,

  // Nothing looks at the tables with somebody else's eyes.
  `select c.oid::regclass || ': a materialized view or foreign table has no row-level security'
   from pg_class c join user_schemas s on s.oid = c.relnamespace where c.relkind in ('m', 'f')`,
  `select c.oid::regclass || ': the view reads as its owner (security_invoker is not set)'
   from pg_class c join user_schemas s on s.oid = c.relnamespace
   where c.relkind = 'v' and not coalesce(c.reloptions && '{security_invoker=true,security_invoker=on,security_invoker=1}', false)`,
  `select p.oid::regprocedure || ': SECURITY DEFINER' from pg_proc p join user_schemas s on s.oid = p.pronamespace where p.prosecdef`,

  // The roles are no more than they should be.
  `select rolname || ': superuser, BYPASSRLS, CREATEROLE, CREATEDB or REPLICATION' from pg_roles
   where rolname like 'meterhouse%' and (rolsuper or rolbypassrls or rolcreaterole or rolcreatedb or rolreplication)`,
  `select member.rolname || ': is a member of ' || granted.rolname from pg_auth_members m
   join pg_roles member on member.oid = m.member join pg_roles granted on granted.oid = m.roleid
   where member.rolname like 'meterhouse%'
     and ((member.rolname, granted.rolname) <> ('meterhouse_app', 'meterhouse_system') or m.admin_option)`,
  `select 'meterhouse_app: inherits meterhouse_system without asking for it'
   where pg_has_role('meterhouse_app', 'meterhouse_system', 'USAGE')`,
  `select r.rolname || ': owns ' || pg_describe_object(d.classid, d.objid, d.objsubid) from pg_shdepend d
   join pg_roles r on r.oid = d.refobjid where d.deptype = 'o' and r.rolname in ('meterhouse_app', 'meterhouse_system')
     and d.dbid in (0, (select oid from pg_database where datname = current_database()))`,
  `select grantee || ': has ' || privilege_type || ' on ' || relation from (
     select coalesce(r.rolname, 'everybody') as grantee, a.privilege_type, a.is_grantable, c.oid::regclass::text as relation,
            c.relname, s.nspname, tables.tenant
     from pg_class c join user_schemas s on s.oid = c.relnamespace cross join aclexplode(c.relacl) a
     left join pg_roles r on r.oid = a.grantee left join tables on tables.oid = c.oid
     where coalesce(r.rolname, '') <> 'meterhouse_owner') as granted
   where is_grantable or not (
     privilege_type in ('SELECT', 'INSERT', 'UPDATE', 'DELETE') and nspname = 'public'
       and (grantee = 'meterhouse_system' or grantee = 'meterhouse_app' and tenant is not null)
     or privilege_type = 'SELECT' and nspname = 'drizzle' and relname = '__drizzle_migrations' and grantee = 'meterhouse_app')`,
  `select name || ': is append-only, and ' || role || ' may ' || privilege from tables,
     unnest('{meterhouse_app,meterhouse_system}'::text[]) role, unnest('{UPDATE,DELETE}'::text[]) privilege
   where name = any ($4) and has_table_privilege(role, oid, privilege)`,
  `select coalesce(r.rolname, 'everybody') || ': has ' || a.privilege_type || ' on ' || name || '.' || attname
   from tables join pg_attribute on attrelid = tables.oid cross join aclexplode(attacl) a left join pg_roles r on r.oid = a.grantee
   where r.rolname <> 'meterhouse_app' or r.rolname is null or a.is_grantable or not (
     a.privilege_type = 'SELECT' and attname in (select jsonb_array_elements_text($3::jsonb -> name))
     or a.privilege_type = 'UPDATE' and attname in (select jsonb_array_elements_text($6::jsonb -> name)))`,
  `select name || ': meterhouse_app may UPDATE all of its columns' from tables
   where $6::jsonb ? name and has_table_privilege('meterhouse_app', oid, 'UPDATE')`,
  `select role || ': may create in the schema ' || nspname
   from user_schemas, unnest('{public,meterhouse_app,meterhouse_system}'::text[]) role where has_schema_privilege(role, oid, 'CREATE')`,
  `select role || ': may create schemas' from unnest('{public,meterhouse_app,meterhouse_system}'::text[]) role
   where has_database_privilege(role, current_database(), 'CREATE')`,
  `select 'default privileges are granted: ' || defaclacl::text from pg_default_acl`,
]

/** Reads the catalog and gives one line for every way in which a wall is missing, thin or open at the side. */
export async function catalogViolations(admin: pg.Client): Promise<string[]> {
  const parameters = [
    Object.keys(GLOBAL_TABLES),
    UNGUESSABLE_INDEXES,
    JSON.stringify(GLOBAL_TABLES),
    APPEND_ONLY_TABLES,
    SYSTEM_TABLES,
    JSON.stringify(UPDATABLE_COLUMNS),
  ]
  const violations: string[] = []
  for (const check of CHECKS) {
    // Every statement gets every parameter; those that it does not use still need a type.
    const statement = `${TABLES}, used as (select $1::text[], $2::text[], $3::jsonb, $4::text[], $5::text[], $6::jsonb) ${check}`
    const { rows } = await admin.query<[string]>({ text: statement, values: parameters, rowMode: 'array' })
    violations.push(...rows.map(([violation]) => violation))
  }
  return violations
}
