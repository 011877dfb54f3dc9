-- Run once per cluster by an administrator, before the first migration; running it again changes nothing.
-- Give meterhouse_owner and meterhouse_app a password of their own afterwards: ALTER ROLE … PASSWORD '…'.
--
--   meterhouse_owner   owns the schema; signs in for migrations only
--   meterhouse_app     the server; owns nothing, bypasses nothing, inherits nothing
--   meterhouse_system  no sign-in; the server enters it for one transaction (withSystem)
DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'meterhouse_owner') THEN
    CREATE ROLE meterhouse_owner LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE;
  END IF;
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'meterhouse_system') THEN
    CREATE ROLE meterhouse_system NOLOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE;
  END IF;
  -- NOINHERIT: the policies of meterhouse_system must not reach meterhouse_app until it says SET LOCAL ROLE.
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'meterhouse_app') THEN
    CREATE ROLE meterhouse_app LOGIN NOINHERIT NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE;
  END IF;
END
$$;
GRANT meterhouse_system TO meterhouse_app;
