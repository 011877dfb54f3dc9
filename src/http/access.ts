import type { FastifyInstance, FastifyRequest } from 'fastify'
import { invalidRequest, noSuchRoute, Problem, unauthenticated } from '../errors.ts'
import type { ProjectScope } from '../infra/clickhouse.ts'
import type { FailureLimit } from './failed-authentications.ts'
import type { KeyLimit } from './key-limit.ts'

export type { ProjectScope }

/** What may be done inside a project, as `noun:verb`: by a role, or by an API key that has it as a scope. */
export const KEY_SCOPES = [
  'events:write',
  'query:read',
  'keys:read',
  'keys:write',
  'tracking_plan:read',
  'tracking_plan:write',
  'projects:read',
  'projects:write',
  'quarantine:read',
  'quarantine:write',
  'audit:read',
] as const
export type KeyScope = (typeof KEY_SCOPES)[number]

/** Everything that a role may be allowed to do. What is not a scope of keys too is for people alone. */
export const PERMISSIONS = [
  ...KEY_SCOPES,
  'projects:create',
  'organizations:read',
  'organizations:write',
  'members:read',
  'members:write',
  'roles:write',
  'billing:read',
  'billing:write',
] as const
export type Permission = (typeof PERMISSIONS)[number]

export const IP_POLICIES = ['keep', 'truncate', 'drop'] as const

/** What a project says about the requests that its keys make. It comes with the key, so reading it asks no database. */
export interface ProjectSettings {
  /** Origins whose pages may use the key; none means all. */
  allowedOrigins: readonly string[]
  /** What is kept of a sender's address. */
  ipPolicy: (typeof IP_POLICIES)[number]
}

export interface KeyPrincipal {
  kind: 'key'
  keyId: string
  organizationId: string
  projectId: string
  permissions: readonly Permission[]
  /** Infinite for a key without an end. */
  expiresAtMs: number
  /** The key's own limit; null leaves it the one that every credential has. */
  requestsPerMinute: number | null
  settings: ProjectSettings
}

export interface SessionPrincipal {
  kind: 'session'
  userId: string
  sessionId: string
  expiresAtMs: number
}

/** Who is asking, once the credential has been checked. */
export type Principal = KeyPrincipal | SessionPrincipal | { kind: 'viewer'; projectId: string; expiresAtMs: number }

/** An organization and the member of it who is asking. */
export interface OrganizationScope {
  organizationId: string
  userId: string
}

/**
 * `public` asks for nothing, `self` for any valid credential, a permission for that permission in the named project or organization,
 * `operator` for a person who runs the platform: to everybody else the route is not there.
 */
export type Access = 'public' | 'self' | 'operator' | Permission

declare module 'fastify' {
  interface FastifyContextConfig {
    access?: Access
    /** Whether the route also serves people whose organization is frozen. Their keys do nothing until it is thawed. */
    whileFrozen?: boolean
    /** Whether the route also serves people without the second factor that their organization asks for. */
    withoutSecondFactor?: boolean
    /**
     * Finds the credential in the decoded body, for clients that can send it nowhere else. It counts only where there is no
     * Authorization header, and the request is then authenticated after its body has been read.
     */
    bodyCredential?: (body: unknown) => string | undefined
    /**
     * Finds the credential in the query string, for an image, which has no other place for it. It counts only where there is no
     * Authorization header. Nowhere else may a URL hold a credential: URLs end up in logs.
     */
    queryCredential?: (query: unknown) => string | undefined
  }
  interface FastifyRequest {
    principal: Principal | null
    /** The organization and the project that the guard has checked; every query and write is bound to it. */
    scope: ProjectScope | null
    /** The same for a route that names an organization and no project. */
    organization: OrganizationScope | null
  }
}

/** What a route lets pass that others do not; see the route's config. */
export interface Exceptions {
  whileFrozen?: boolean | undefined
  withoutSecondFactor?: boolean | undefined
}

export interface AccessRules {
  /** Resolves a raw credential, or throws `auth.unauthenticated`; 403 for one that is good, but not from that address. */
  authenticate: (credential: string, ip: string) => Promise<Principal>
  /**
   * Resolves the project that the request names, or the key's own one where the route names none. Throws 404 for a project that
   * the principal may not know of, exactly as for an absent one, and 403 for a known project without the permission.
   */
  authorize: (
    principal: Principal,
    permission: Permission,
    projectId: string | undefined,
    whileFrozen: boolean,
  ) => Promise<ProjectScope>
  /** Does the same for a route that names an organization. Only people belong to one: every other credential is answered 403. */
  authorizeOrganization?: (
    principal: Principal,
    permission: Permission,
    organizationId: string,
    exceptions: Exceptions,
  ) => Promise<OrganizationScope>
  /** Whether somebody runs the platform at this moment; without it nobody does. */
  isOperator?: (principal: Principal) => Promise<boolean>
  /** Holds keys to their own limits on routes whose requests nobody else counts. */
  keyLimit?: KeyLimit
  /** Turns addresses away that only fail; without it none is. */
  failures?: FailureLimit
}

/**
 * Guards every route that is registered in this scope after it: one authentication hook, then the route's own `config.access`.
 * A route that declares no access stops the boot, so that none can be open by being forgotten.
 */
export function guardScope(scope: FastifyInstance, rules: AccessRules): void {
  scope.addHook('onRoute', (route) => {
    if (route.config?.access === undefined) throw new Error(`${route.method} ${route.url} declares no config.access`)
    if (route.config.bodyCredential) route.preValidation = [guardByBody, route.preValidation ?? []].flat()
  })
  scope.addHook('onRequest', async (request) => {
    const { access, bodyCredential, queryCredential } = request.routeOptions.config
    if (access === undefined || access === 'public') return
    // Before the count of failures, whose answer would tell that there is a route.
    if (access === 'operator') return guardOperator(request)
    rules.failures?.check(request.ip)
    if (!queryCredential) refuseCredentialInUrl(request)
    const elsewhere = bodyCredential ?? queryCredential
    if (!elsewhere || request.headers.authorization !== undefined) {
      await guard(request, access, readCredential(request))
    } else if (queryCredential) {
      await guard(request, access, queryCredential(request.query))
    }
  })

  async function guardByBody(request: FastifyRequest): Promise<void> {
    const { access, bodyCredential } = request.routeOptions.config
    if (request.principal || access === undefined || access === 'public') return
    await guard(request, access, bodyCredential?.(request.body))
  }

  /** Whoever may not use the route gets what they would get if there were none, whatever is wrong with them. */
  async function guardOperator(request: FastifyRequest): Promise<void> {
    const principal = await authenticate(readCredential(request), request.ip).catch((error) => {
      if (error instanceof Problem && error.status < 500) throw noSuchRoute(request)
      throw error
    })
    if (!(await rules.isOperator?.(principal))) throw noSuchRoute(request)
    refuseCredentialInUrl(request)
    request.principal = principal
  }

  async function guard(request: FastifyRequest, access: Access, credential: string | undefined): Promise<void> {
    const principal = await authenticate(credential, request.ip)
    request.principal = principal
    if (principal.kind === 'key' && request.routeOptions.config.rateLimit === false) rules.keyLimit?.check(principal)
    if (access === 'self' || access === 'public' || access === 'operator') return
    const { whileFrozen = false, withoutSecondFactor } = request.routeOptions.config
    const { projectId, organizationId } = request.params as { projectId?: string; organizationId?: string }
    if (organizationId !== undefined && rules.authorizeOrganization) {
      request.organization = await rules.authorizeOrganization(principal, access, organizationId, {
        whileFrozen,
        withoutSecondFactor,
      })
      return
    }
    request.scope = await rules.authorize(principal, access, projectId, whileFrozen)
  }

  async function authenticate(credential: string | undefined, ip: string): Promise<Principal> {
    try {
      if (!credential) throw challenge('Send a write key, an API key or an access token in the Authorization header.')
      const principal = await rules.authenticate(credential, ip)
      rules.failures?.succeeded(ip)
      return principal
    } catch (error) {
      // A key that could not be looked up is no failure of its sender.
      if (error instanceof Problem && error.status === 401) rules.failures?.failed(ip)
      throw error
    }
  }
}

/** The checked scope of a guarded route. */
export function projectScope(request: FastifyRequest): ProjectScope {
  if (!request.scope) throw new Error(`${request.routeOptions.url} was reached without a scope`)
  return request.scope
}

/** The checked organization of a guarded route that names one. */
export function organizationScope(request: FastifyRequest): OrganizationScope {
  if (!request.organization) throw new Error(`${request.routeOptions.url} was reached without an organization`)
  return request.organization
}

/** The checked principal of a guarded route. */
export function principalOf(request: FastifyRequest): Principal {
  if (!request.principal) throw new Error(`${request.routeOptions.url} was reached without a principal`)
  return request.principal
}

const WEBSOCKET_CREDENTIAL = /(?:^|,)\s*bearer\.([^\s,]+)/

/**
 * Reads `Authorization: Bearer CREDENTIAL`, HTTP Basic with the credential as user name, or, for browsers that cannot set headers
 * on a WebSocket, the subprotocol `bearer.CREDENTIAL`.
 */
function readCredential({ headers }: FastifyRequest): string | undefined {
  const header = headers.authorization
  return header ? fromAuthorization(header) : fromSubprotocol(headers['sec-websocket-protocol'])
}

/** A credential in a URL ends up in logs. */
function refuseCredentialInUrl(request: FastifyRequest): void {
  if (/[?&][^=&]*=(mh_(write|live)_|eyJ)/.test(request.raw.url ?? '')) {
    throw invalidRequest('Send the credential in the Authorization header; the URL is not a place for it.')
  }
}

function fromAuthorization(header: string): string | undefined {
  const [scheme = '', value = ''] = header.trim().split(/\s+/, 2)
  if (scheme.toLowerCase() === 'bearer') return value
  if (scheme.toLowerCase() !== 'basic') return undefined
  return Buffer.from(value, 'base64').toString('utf8').split(':', 1)[0]
}

function fromSubprotocol(header: string | undefined): string | undefined {
  return header?.match(WEBSOCKET_CREDENTIAL)?.[1]
}

/** The 401 that every failed authentication answers, with the challenge that RFC 9110 asks for. */
export function challenge(detail: string): Problem {
  return unauthenticated(detail, {
    headers: { 'www-authenticate': 'Bearer realm="meterhouse", Basic realm="meterhouse"' },
  })
}
