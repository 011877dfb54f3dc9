import { defineConfig } from 'drizzle-kit'

// Only generates SQL from the tables: applying it is the work of scripts/migrate.ts.
export default defineConfig({
  dialect: 'postgresql',
  schema: ['./src/domains/**/tables.ts', './src/infra/outbox.ts', './src/infra/tenancy.ts'],
  out: './migrations',
})
