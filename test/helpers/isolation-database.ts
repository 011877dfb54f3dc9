import { randomBytes } from 'node:crypto'
import type { SQL } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/node-postgres'
import pg from 'pg'
import type { Test } from 'tap'
import { createPostgres } from '../../src/infra/postgres.ts'
import { createPostgresDatabase } from './services.ts'

type Row = Record<string, unknown>

/** What the last of the statements gave or touched, or the SQLSTATE and the message of the first that was refused. */
export interface Outcome {
  rows: Row[]
  count: number
  refused?: string
  message?: string
}

/** Runs statements in one transaction that is always rolled back. */
export type Attempt = (...statements: SQL[]) => Promise<Outcome>

/** A migrated database with one session for everybody who may stand before the walls. */
export interface IsolationDatabase {
  /** A superuser, for looking at the catalog, for fixtures and for breaking things on purpose. */
  admin: pg.Client
  appUrl: string
  /** The server's role inside `withTenant`. */
  tenant: (organizationId: string) => Attempt
  /** The server's role inside `withSystem`. */
  system: Attempt
  /** The server's role without any organization. */
  bare: Attempt
  owner: Attempt
}

export async function openIsolationDatabase(t: Test): Promise<IsolationDatabase> {
  const { adminUrl, appUrl, ownerUrl } = await createPostgresDatabase(t, `isolation_${randomBytes(6).toString('hex')}`)
  const postgres = createPostgres({ url: appUrl, poolMax: 1 })
  const [admin, app, owner] = [adminUrl, appUrl, ownerUrl].map((url) => new pg.Client({ connectionString: url })) as [
    pg.Client,
    pg.Client,
    pg.Client,
  ]
  await Promise.all([admin.connect(), app.connect(), owner.connect()])
  t.teardown(() => Promise.all([postgres.close(), admin.end(), app.end(), owner.end()]))
  return {
    admin,
    appUrl,
    tenant: (organizationId) => attemptIn((work) => postgres.withTenant(organizationId, work)),
    system: attemptIn((work) => postgres.withSystem(work)),
    bare: attemptIn((work) => drizzle(app).transaction(work)),
    owner: attemptIn((work) => drizzle(owner).transaction(work)),
  }
}

interface Transaction {
  execute: (statement: SQL) => Promise<{ rows: Row[]; rowCount: number | null }>
}

class Undo extends Error {}

function attemptIn(transaction: (work: (tx: Transaction) => Promise<void>) => Promise<void>): Attempt {
  return async (...statements) => {
    let outcome: Outcome = { rows: [], count: 0 }
    try {
      await transaction(async (tx) => {
        for (const statement of statements) {
          const { rows, rowCount } = await tx.execute(statement)
          outcome = { rows, count: rowCount ?? 0 }
        }
        throw new Undo()
      })
    } catch (error) {
      if (error instanceof Undo) return outcome
      const cause = error instanceof Error ? error.cause : undefined
      // Anything but an answer of the database is a defect of the test and must not pass for a refusal.
      if (!(cause instanceof pg.DatabaseError)) throw error
      outcome = { rows: [], count: 0, refused: cause.code ?? 'unknown', message: cause.message }
    }
    return outcome
  }
}
