import { and, asc, eq, gt, inArray, isNull, lt, ne, or, type SQL, sql } from 'drizzle-orm'
import type { SystemTx } from '../../../infra/postgres.ts'
import { refreshTokens, sessions } from '../tables.ts'

export type SessionRow = typeof sessions.$inferSelect
export type EndedBy = NonNullable<SessionRow['endedBy']>

export async function insertSession(tx: SystemTx, session: typeof sessions.$inferInsert): Promise<void> {
  await tx.insert(sessions).values(session)
}

export async function findSession(tx: SystemTx, id: string): Promise<SessionRow | undefined> {
  const [session] = await tx.select().from(sessions).where(eq(sessions.id, id))
  return session
}

/** The sessions of a person that are not over, oldest first. */
export function listSessions(
  tx: SystemTx,
  userId: string,
  page: { limit: number; after: string; idleSince: Date },
): Promise<SessionRow[]> {
  return tx
    .select()
    .from(sessions)
    .where(
      and(
        eq(sessions.userId, userId),
        gt(sessions.id, page.after),
        isNull(sessions.endedAt),
        gt(sessions.expiresAt, sql`now()`),
        gt(sessions.lastSeenAt, page.idleSince),
      ),
    )
    .orderBy(asc(sessions.id))
    .limit(page.limit)
}

/** Whose refresh token it is, spent or not. */
export async function findSessionIdOfToken(tx: SystemTx, hash: string): Promise<string | undefined> {
  const columns = { sessionId: refreshTokens.sessionId }
  const [token] = await tx.select(columns).from(refreshTokens).where(eq(refreshTokens.hash, hash))
  return token?.sessionId
}

/** Where a person has signed in, as far back as sessions are kept. */
export function listOrigins(tx: SystemTx, userId: string) {
  return tx
    .selectDistinct({ ip: sessions.ip, userAgent: sessions.userAgent })
    .from(sessions)
    .where(eq(sessions.userId, userId))
}

export async function touchSession(tx: SystemTx, id: string): Promise<void> {
  await tx.update(sessions).set({ lastSeenAt: sql`clock_timestamp()` }).where(eq(sessions.id, id))
}

/** Which of a person's sessions are meant: one, all, or all but one. */
export type Which = { only: string } | { except: string } | 'all'

/** Ends sessions that go on; gives their ids. */
export async function endSessions(tx: SystemTx, userId: string, which: Which, endedBy: EndedBy): Promise<string[]> {
  const ended = await tx
    .update(sessions)
    .set({ endedAt: sql`now()`, endedBy })
    .where(and(eq(sessions.userId, userId), isNull(sessions.endedAt), narrowed(which)))
    .returning({ id: sessions.id })
  return ended.map(({ id }) => id)
}

function narrowed(which: Which): SQL | undefined {
  if (which === 'all') return undefined
  return 'only' in which ? eq(sessions.id, which.only) : ne(sessions.id, which.except)
}

export async function insertRefreshToken(tx: SystemTx, hash: string, sessionId: string): Promise<void> {
  await tx.insert(refreshTokens).values({ hash, sessionId })
}

/** Spends a token that is unspent; gives its session, or nothing when there is no such token. The first of many wins. */
export async function spendRefreshToken(tx: SystemTx, hash: string, salt: string): Promise<string | undefined> {
  const [spent] = await tx
    .update(refreshTokens)
    .set({ spentAt: sql`clock_timestamp()`, successorSalt: salt })
    .where(and(eq(refreshTokens.hash, hash), isNull(refreshTokens.spentAt)))
    .returning({ sessionId: refreshTokens.sessionId })
  return spent?.sessionId
}

/** A token that was spent, and how long ago by the clock that said when. */
export async function findSpentToken(tx: SystemTx, hash: string) {
  const [token] = await tx
    .select({
      sessionId: refreshTokens.sessionId,
      salt: refreshTokens.successorSalt,
      spentMsAgo: sql<number>`(extract(epoch from clock_timestamp() - ${refreshTokens.spentAt}) * 1000)::float8`,
    })
    .from(refreshTokens)
    .where(eq(refreshTokens.hash, hash))
  return token
}

/** Deletes what has been over for a while, with its refresh tokens. */
export async function pruneSessions(tx: SystemTx, before: Date): Promise<void> {
  const over = tx
    .select({ id: sessions.id })
    .from(sessions)
    .where(or(lt(sessions.endedAt, before), lt(sessions.expiresAt, before)))
  await tx.delete(sessions).where(inArray(sessions.id, over))
}
