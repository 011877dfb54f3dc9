import { LRUCache } from 'lru-cache'
import { challenge, type SessionPrincipal } from '../../../http/access.ts'
import { newId } from '../../../ids.ts'
import { append, NO_ORGANIZATION } from '../../../infra/outbox.ts'
import type { Postgres, SystemTx } from '../../../infra/postgres.ts'
import type { Csrf } from '../csrf.ts'
import { type Device, deviceName } from '../device.ts'
import { csrfMismatch, sessionNotFound } from '../errors.ts'
import { NEW_DEVICE, REFRESH_TOKEN_REUSED, SESSIONS_ENDED } from '../fact-kinds.ts'
import { hashToken, isWellFormedToken, newRefreshToken, newSuccessorSalt, successorOf } from '../refresh-token.ts'
import type { Session } from '../schemas.ts'
import type { SignInLog } from '../sign-in-log.ts'
import { findUser } from '../store.ts'
import type { Grant, Tokens } from '../tokens.ts'
import { isNewDevice } from './new-device.ts'
import * as store from './store.ts'

const DAY_MS = 24 * 3_600_000
const IDLE_MS = 14 * DAY_MS
const LIFETIME_MS = 30 * DAY_MS
/** Tabs and retries send the same token at the same time; whoever comes later than this has a copy that he should not have. */
const GRACE_MS = 10_000
/** As for keys: the end of a session arrives within a second as a fact, and this bounds it when the message is lost. */
const CACHE_TTL_MS = 4000
const CACHE_SIZE = 10_000
const USER_AGENT_MAX = 400

/** Whose session it is and until when; `null` when it is over. */
type Life = { userId: string; endsAtMs: number } | null

type Refreshed = { session: store.SessionRow; token: string } | 'unknown' | { reused: string[] }

export type SessionsService = ReturnType<typeof createSessionsService>

interface Dependencies {
  postgres: Postgres
  tokens: Tokens
  csrf: Csrf
  signInLog: SignInLog
}

export function createSessionsService({ postgres, tokens, csrf, signInLog }: Dependencies) {
  const lives = new LRUCache<string, Promise<Life>>({ max: CACHE_SIZE, ttl: CACHE_TTL_MS })
  /** Refreshes of one token that are under way, so that a thousand at once cost one. */
  const refreshing = new Map<string, Promise<Refreshed>>()

  function readLife(id: string): Promise<Life> {
    const life = postgres.withSystem((tx) => store.findSession(tx, id)).then(lifeOf)
    lives.set(id, life)
    // What could not be read is asked for again by the next request.
    life.catch(() => lives.peek(id) === life && lives.delete(id))
    return life
  }

  /** A session that is over never begins again, so that it is remembered, and a read under way cannot bring it back. */
  function forget(sessionIds: readonly string[]): void {
    for (const id of sessionIds) lives.set(id, Promise.resolve(null))
  }

  /** Ends sessions inside a transaction of the caller's, who has to `forget` them once it has committed. */
  async function endWithin(
    tx: SystemTx,
    userId: string,
    which: store.Which,
    endedBy: store.EndedBy,
  ): Promise<string[]> {
    const sessionIds = await store.endSessions(tx, userId, which, endedBy)
    if (sessionIds.length > 0) {
      await append(tx, { organizationId: NO_ORGANIZATION, kind: SESSIONS_ENDED, payload: { sessionIds } })
    }
    return sessionIds
  }

  async function end(userId: string, which: store.Which, endedBy: store.EndedBy, device: Device): Promise<string[]> {
    const ended = await postgres.withSystem(async (tx) => {
      const sessionIds = await endWithin(tx, userId, which, endedBy)
      for (const sessionId of sessionIds) {
        await signInLog(tx, userId, device, { action: 'session.ended', sessionId, after: { endedBy } })
      }
      return sessionIds
    })
    forget(ended)
    return ended
  }

  const grant = (session: Pick<store.SessionRow, 'id' | 'userId' | 'expiresAt'>, refreshToken: string): Grant => {
    const endsAtMs = Math.min(session.expiresAt.getTime(), Date.now() + IDLE_MS)
    const issued = tokens.issueSession(session.userId, session.id, endsAtMs)
    return { ...issued, refreshToken, refreshExpiresAt: new Date(endsAtMs), csrfToken: csrf.tokenOf(session.id) }
  }

  /** One spends the token, the others find it spent. Nothing is thrown in here: the end of a family has to be committed. */
  const rotate = (token: string, device: Device): Promise<Refreshed> =>
    postgres.withSystem(async (tx) => {
      const [hash, salt] = [hashToken(token), newSuccessorSalt()]
      const sessionId = await store.spendRefreshToken(tx, hash, salt)
      const spent = sessionId ? { sessionId, salt, spentMsAgo: 0 } : await store.findSpentToken(tx, hash)
      const session = spent && (await store.findSession(tx, spent.sessionId))
      if (!session || !spent?.salt || !lifeOf(session)) return 'unknown'
      if (spent.spentMsAgo > GRACE_MS) return { reused: await endFamily(tx, session, device) }
      const successor = successorOf(token, spent.salt)
      if (sessionId) {
        await store.insertRefreshToken(tx, hashToken(successor), session.id)
        await store.touchSession(tx, session.id)
      }
      return { session, token: successor }
    })

  async function assertCsrf(token: string, given: string): Promise<void> {
    const sessionId = await postgres.withSystem((tx) => store.findSessionIdOfToken(tx, hashToken(token)))
    if (sessionId && !csrf.matches(sessionId, given))
      throw csrfMismatch('Send the value of the cookie as x-csrf-token.')
  }

  async function endFamily(
    tx: SystemTx,
    { id: sessionId, userId }: store.SessionRow,
    device: Device,
  ): Promise<string[]> {
    await append(tx, {
      organizationId: NO_ORGANIZATION,
      kind: REFRESH_TOKEN_REUSED,
      payload: { userId, sessionId },
    })
    const ended = await endWithin(tx, userId, { only: sessionId }, 'reuse')
    await signInLog(tx, userId, device, { action: 'session.token_reused', sessionId })
    return ended
  }

  return {
    forget,
    endWithin,

    /** Begins a session on a device, in one transaction with what the caller has to do or to check before, and to tell last. */
    async start(
      userId: string,
      device: Device,
      before: (tx: SystemTx) => Promise<void>,
      told?: (tx: SystemTx) => Promise<void>,
    ): Promise<Grant> {
      const { ip, userAgent } = device
      const session = { id: newId('ses'), userId, expiresAt: new Date(Date.now() + LIFETIME_MS) }
      const refreshToken = newRefreshToken()
      await postgres.withSystem(async (tx) => {
        await before(tx)
        const [origins, user] = [await store.listOrigins(tx, userId), await findUser(tx, userId)]
        await store.insertSession(tx, { ...session, ip, userAgent: userAgent?.slice(0, USER_AGENT_MAX) ?? null })
        await store.insertRefreshToken(tx, hashToken(refreshToken), session.id)
        if (isNewDevice(device, origins, user?.createdAt)) {
          const payload = { userId, sessionId: session.id }
          await append(tx, { organizationId: NO_ORGANIZATION, kind: NEW_DEVICE, payload })
        }
        await signInLog(tx, userId, device, { action: 'session.started', sessionId: session.id })
        await told?.(tx)
      })
      return grant(session, refreshToken)
    },

    /**
     * Exchanges a refresh token for its successor. All who come within the grace get the same one; whoever comes later ends the whole
     * session, because one of the two holders has stolen it. A browser has to know the session's csrf token too, or nothing is spent.
     */
    async refresh(token: string, device: Device, csrfToken: string | undefined): Promise<Grant> {
      if (!isWellFormedToken(token)) throw signInAgain()
      if (csrfToken !== undefined) await assertCsrf(token, csrfToken)
      const running = refreshing.get(token) ?? rotate(token, device).finally(() => refreshing.delete(token))
      refreshing.set(token, running)
      const refreshed = await running
      if (refreshed === 'unknown') throw signInAgain()
      if ('reused' in refreshed) {
        forget(refreshed.reused)
        throw signInAgain()
      }
      return grant(refreshed.session, refreshed.token)
    },

    /** Throws 401 unless the session of a signed access token goes on. */
    async assertLives({ sessionId, userId }: SessionPrincipal): Promise<void> {
      const life = await (lives.get(sessionId) ?? readLife(sessionId))
      if (life?.userId !== userId || life.endsAtMs <= Date.now()) throw signInAgain()
    },

    async list(userId: string, currentId: string, page: { limit: number; after: string }) {
      const idleSince = new Date(Date.now() - IDLE_MS)
      const rows = await postgres.withSystem((tx) =>
        store.listSessions(tx, userId, { ...page, limit: page.limit + 1, idleSince }),
      )
      const data = rows.slice(0, page.limit).map((row) => toSession(row, currentId))
      return { data, nextCursor: rows.length > page.limit ? (data.at(-1)?.id ?? null) : null }
    },

    /** Ends one session of a person; 404 for any that is not theirs or is over. */
    async end(userId: string, sessionId: string, endedBy: 'logout' | 'revocation', device: Device): Promise<void> {
      const ended = await end(userId, { only: sessionId }, endedBy, device)
      if (ended.length === 0) throw sessionNotFound('You have no such session.')
    },

    async endAll(userId: string, device: Device): Promise<void> {
      await end(userId, 'all', 'logout', device)
    },
  }
}

function lifeOf(session: store.SessionRow | undefined): Life {
  if (!session || session.endedAt) return null
  const endsAtMs = Math.min(session.expiresAt.getTime(), session.lastSeenAt.getTime() + IDLE_MS)
  return endsAtMs > Date.now() ? { userId: session.userId, endsAtMs } : null
}

function toSession(row: store.SessionRow, currentId: string): Session {
  return {
    id: row.id,
    current: row.id === currentId,
    device: deviceName(row.userAgent),
    ip: row.ip,
    createdAt: row.createdAt.toISOString(),
    lastSeenAt: row.lastSeenAt.toISOString(),
    expiresAt: row.expiresAt.toISOString(),
  }
}

const signInAgain = () => challenge('The session is over or not known: sign in again.')
