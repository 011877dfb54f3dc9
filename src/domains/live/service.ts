import type { Principal, ProjectScope } from '../../http/access.ts'
import { CLOSE, type LiveSocket } from './socket.ts'

/** Timers take no longer times; whoever watched for so long connects again. */
const TIMER_MAX_MS = 2 ** 31 - 1

/** The open sockets of this process: bounded per project, and closed when the credential behind them ends. */
export function createLiveRegistry() {
  const sockets = new Map<LiveSocket, ProjectScope & { principal: Principal }>()

  return {
    countOf(projectId: string): number {
      let count = 0
      for (const entry of sockets.values()) if (entry.projectId === projectId) count += 1
      return count
    },

    /** Returns the function that takes the socket out again. A socket ends with its token or key. */
    add(socket: LiveSocket, scope: ProjectScope, principal: Principal): () => void {
      sockets.set(socket, { ...scope, principal })
      const what = principal.kind === 'key' ? 'key' : 'access token'
      const expiry = setTimeout(
        () => socket.close(CLOSE.credentialEnded, `the ${what} has expired`),
        Math.min(principal.expiresAtMs - Date.now(), TIMER_MAX_MS),
      )
      return () => {
        clearTimeout(expiry)
        sockets.delete(socket)
      }
    },

    revokeKey(keyId: string): void {
      for (const [socket, { principal }] of sockets) {
        if (principal.kind === 'key' && principal.keyId === keyId)
          socket.close(CLOSE.credentialEnded, 'the key was revoked')
      }
    },

    /** What may be done with the key, from where and until when is looked up anew when its holder connects again. */
    changeKey(keyId: string): void {
      for (const [socket, { principal }] of sockets) {
        if (principal.kind === 'key' && principal.keyId === keyId) socket.close(CLOSE.tryAgain, 'the key was changed')
      }
    },

    endMembership(organizationId: string, userId: string): void {
      for (const [socket, entry] of sockets) {
        const isTheirs = entry.principal.kind === 'session' && entry.principal.userId === userId
        if (isTheirs && entry.organizationId === organizationId)
          socket.close(CLOSE.credentialEnded, 'you are no longer a member')
      }
    },

    /** Closes the sockets of people whose role became less; who may still watch comes back. */
    endWatching(organizationId: string, userIds: readonly string[]): void {
      for (const [socket, entry] of sockets) {
        const isTheirs = entry.principal.kind === 'session' && userIds.includes(entry.principal.userId)
        if (isTheirs && entry.organizationId === organizationId)
          socket.close(CLOSE.credentialEnded, 'your role was changed')
      }
    },

    freeze(organizationId: string): void {
      for (const [socket, entry] of sockets) {
        if (entry.organizationId === organizationId) socket.close(CLOSE.credentialEnded, 'the organization is frozen')
      }
    },

    endSessions(sessionIds: readonly string[]): void {
      for (const [socket, { principal }] of sockets) {
        if (principal.kind === 'session' && sessionIds.includes(principal.sessionId))
          socket.close(CLOSE.credentialEnded, 'the session is over')
      }
    },
  }
}
export type LiveRegistry = ReturnType<typeof createLiveRegistry>
