import type { Principal, ProjectScope } from '../../../http/access.ts'
import type { Acting } from '../../../http/acting.ts'
import { append } from '../../../infra/outbox.ts'
import type { Postgres, TenantTx } from '../../../infra/postgres.ts'
import { record } from '../../audit/index.ts'
import { schemaFaults } from '../dialect.ts'
import { eventNotPlanned, planFull, refuseFaults, versionConflict, versionNotFound } from '../errors.ts'
import { NO_PLAN, type StoredPlan } from '../plan.ts'
import type * as Api from '../schemas.ts'
import * as store from '../store.ts'

/** The kind of the fact that a new version leaves in the outbox; its payload is `{ projectId, version }`. */
export const TRACKING_PLAN_CHANGED = 'tracking_plan.changed'

const EVENTS_MAX = 500
const PLAN_BYTES_MAX = 1024 * 1024
/** Changes at the same time that expect nothing are all made, one after the other. */
const ATTEMPTS = 5
const UNIQUE_TAKEN = '23505'

/** Who changes a plan, why, and which version they believe to change. */
export interface Author extends Api.Reason {
  by: Acting
}

export type HistoryService = ReturnType<typeof createReading> & ReturnType<typeof createWriting>

type Reading = ReturnType<typeof createReading>

/** The plan as it is and as it was. */
export function createReading(postgres: Postgres) {
  const inTenant = <T>({ organizationId }: ProjectScope, fn: (tx: TenantTx) => Promise<T>) =>
    postgres.withTenant(organizationId, fn)

  return {
    plan: (scope: ProjectScope, knownVersion: number | undefined): Promise<StoredPlan | undefined> =>
      inTenant(scope, async (tx) => {
        const { version, mode, unplannedEvents } = (await store.findVersion(tx, scope.projectId)) ?? NO_PLAN
        if (version === knownVersion) return undefined
        return { version, mode, unplannedEvents, schemas: await store.listSchemas(tx, scope.projectId, version) }
      }),

    summary: (scope: ProjectScope): Promise<Api.PlanAnswer> =>
      inTenant(scope, async (tx) => {
        const current = await store.findVersion(tx, scope.projectId)
        const { version, mode, unplannedEvents } = current ?? NO_PLAN
        const events = await store.listEvents(tx, scope.projectId, version)
        return {
          version,
          mode,
          unplannedEvents,
          changedBy: current?.changedBy ?? null,
          changedAt: current?.createdAt.toISOString() ?? null,
          events: events.map((row) => ({ ...row, changedAt: row.changedAt.toISOString() })),
        }
      }),

    event: (scope: ProjectScope, event: string): Promise<Api.EventAnswer> =>
      inTenant(scope, async (tx) => {
        const { version: planVersion } = (await store.findVersion(tx, scope.projectId)) ?? NO_PLAN
        const row = await store.findSchema(tx, scope.projectId, event, planVersion)
        const author = row && (await store.findVersion(tx, scope.projectId, row.version))
        if (!row?.schema || !author) throw noSuchEvent()
        const { changedBy, createdAt } = author
        const { version, schema } = row
        return { event, version, schema, changedBy, changedAt: createdAt.toISOString(), planVersion }
      }),

    versions: (scope: ProjectScope, { limit, cursor }: Api.VersionQuery) =>
      inTenant(scope, async (tx) => {
        const before = cursor === undefined ? undefined : Number(cursor)
        const rows = await store.listVersions(tx, scope.projectId, { limit: limit + 1, before })
        const data = rows.slice(0, limit).map(toVersion)
        return { data, nextCursor: rows.length > limit ? String(data.at(-1)?.version) : null }
      }),

    version: (scope: ProjectScope, version: number): Promise<Api.WholeVersion> =>
      inTenant(scope, async (tx) => {
        const row = await store.findVersion(tx, scope.projectId, version)
        if (!row) throw noSuchVersion()
        const schemas = await store.listSchemas(tx, scope.projectId, version)
        return { ...toVersion(row), events: schemas.map(({ event, version, schema }) => ({ event, version, schema })) }
      }),
  }
}

/** What one new version changes. */
interface Change
  extends Pick<store.VersionRow, 'change'>,
    Partial<Pick<store.VersionRow, 'event' | 'restoredVersion'>> {
  mode?: store.VersionRow['mode'] | undefined
  unplannedEvents?: store.VersionRow['unplannedEvents'] | undefined
  schemas: { event: string; schema: Record<string, unknown> | null }[]
}

/** Finds out what there is to change in the plan as it is; nothing when it is so already. */
type Find = (tx: TenantTx, current: StoredPlan | store.VersionRow) => Promise<Change | undefined>

/** The ways to change a plan; `expire` makes this process act on a change at once. */
export function createWriting(postgres: Postgres, reading: Reading, expire: (scope: ProjectScope) => void) {
  /**
   * Adds a version. Its number is part of the key and rows are only added, so of two changes that expect the same version one is
   * made and the other refused, in whichever processes they are. This process acts on it at once; others hear of it as a fact.
   */
  async function publish(scope: ProjectScope, author: Author, find: Find): Promise<number> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await postgres.withTenant(scope.organizationId, (tx) => addVersion(tx, scope, author, find))
      } catch (error) {
        if (!isTaken(error)) throw error
        if (author.expectedVersion !== undefined || attempt === ATTEMPTS) throw conflict()
      } finally {
        expire(scope)
      }
    }
  }

  return {
    async changeSettings(scope: ProjectScope, author: Author, { mode, unplannedEvents }: Api.SettingsInput) {
      if (mode === undefined && unplannedEvents === undefined)
        refuseFaults([{ path: '/mode', message: 'or unplannedEvents must be there, to say what changes' }])
      await publish(scope, author, async (_tx, current) => {
        const isSame =
          (mode ?? current.mode) === current.mode &&
          (unplannedEvents ?? current.unplannedEvents) === current.unplannedEvents
        return isSame ? undefined : { change: 'settings', mode, unplannedEvents, schemas: [] }
      })
      return reading.summary(scope)
    },

    async putEvent(scope: ProjectScope, author: Author, event: string, schema: Record<string, unknown>) {
      refuseFaults(schemaFaults(schema, '/schema'))
      await publish(scope, author, async (tx, current) => {
        const before = await store.findSchema(tx, scope.projectId, event, current.version)
        if (before?.schema && isSameSchema(before.schema, schema)) return undefined
        const others = await store.measureOthers(tx, scope.projectId, event, current.version)
        if (others.events >= EVENTS_MAX) throw planFull(`A tracking plan may have ${EVENTS_MAX} events.`)
        if (others.bytes + Buffer.byteLength(JSON.stringify(schema)) > PLAN_BYTES_MAX)
          throw planFull(`The schemas of a tracking plan may have ${PLAN_BYTES_MAX} bytes together.`)
        return { change: 'schema', event, schemas: [{ event, schema }] }
      })
      return reading.event(scope, event)
    },

    /** Resolves to the version of the plan without the event. */
    removeEvent: (scope: ProjectScope, author: Author, event: string): Promise<number> =>
      publish(scope, author, async (tx, current) => {
        const before = await store.findSchema(tx, scope.projectId, event, current.version)
        if (!before?.schema) throw noSuchEvent()
        return { change: 'removal', event, schemas: [{ event, schema: null }] }
      }),

    /** Publishes an old version anew: the plan is as it was then, and the versions between stay in the history. */
    async restore(scope: ProjectScope, author: Author, version: number) {
      await publish(scope, author, async (tx, current) => {
        const old = await store.findVersion(tx, scope.projectId, version)
        if (!old) throw noSuchVersion()
        const { mode, unplannedEvents } = old
        const [now, then] = [
          await store.listSchemas(tx, scope.projectId, current.version),
          await store.listSchemas(tx, scope.projectId, version),
        ]
        const schemas = differences(now, then)
        const isSame = mode === current.mode && unplannedEvents === current.unplannedEvents && schemas.length === 0
        return isSame ? undefined : { change: 'restore', restoredVersion: version, mode, unplannedEvents, schemas }
      })
      return reading.summary(scope)
    },
  }
}

async function addVersion(tx: TenantTx, scope: ProjectScope, author: Author, find: Find): Promise<number> {
  const current = (await store.findVersion(tx, scope.projectId)) ?? NO_PLAN
  const { version, mode, unplannedEvents } = current
  const found = await find(tx, current)
  // It is so already: most likely the answer to the first try of this request was lost.
  if (!found) return version
  if (author.expectedVersion !== undefined && author.expectedVersion !== version) throw conflict(version)
  const { schemas, ...changed } = found
  const row = {
    organizationId: scope.organizationId,
    projectId: scope.projectId,
    ...changed,
    version: version + 1,
    mode: changed.mode ?? mode,
    unplannedEvents: changed.unplannedEvents ?? unplannedEvents,
    comment: author.comment ?? null,
    changedBy: idOf(author.by.principal),
  }
  await store.insertVersion(tx, row, schemas)
  const payload = { projectId: scope.projectId, version: version + 1 }
  await append(tx, { organizationId: scope.organizationId, kind: TRACKING_PLAN_CHANGED, payload })
  const { change, event, restoredVersion, comment } = row
  await record(tx, {
    ...scope,
    by: author.by,
    action: 'tracking_plan.published',
    target: { kind: 'tracking_plan', id: scope.projectId },
    before: { version, mode, unplannedEvents },
    after: {
      version: row.version,
      mode: row.mode,
      unplannedEvents: row.unplannedEvents,
      ...{ change, event, restoredVersion, comment },
    },
  })
  return version + 1
}

/** What turns the schemas of `now` into those of `then`. */
function differences(now: store.SchemaRow[], then: store.SchemaRow[]): Change['schemas'] {
  const wanted = new Map(then.map(({ event, schema }) => [event, schema]))
  const present = new Map(now.map(({ event, schema }) => [event, schema]))
  const removed = now.filter(({ event }) => !wanted.has(event)).map(({ event }) => ({ event, schema: null }))
  const changed = then.filter(({ event, schema }) => {
    const known = present.get(event)
    return !known || !isSameSchema(known, schema)
  })
  return [...removed, ...changed.map(({ event, schema }) => ({ event, schema }))]
}

const isSameSchema = (one: object, other: object) => JSON.stringify(one) === JSON.stringify(other)

function toVersion({ createdAt, organizationId: _organization, projectId: _project, ...row }: store.VersionRow) {
  return { ...row, changedAt: createdAt.toISOString() }
}

function idOf(principal: Principal): string {
  if (principal.kind === 'key') return principal.keyId
  if (principal.kind === 'session') return principal.userId
  throw new Error('a viewer changes nothing')
}

function isTaken(error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause)
    if ('code' in cause && cause.code === UNIQUE_TAKEN) return true
  return false
}

const noSuchEvent = () => eventNotPlanned('The tracking plan has no event of this name.')
const noSuchVersion = () => versionNotFound('The tracking plan never had this version.')
const conflict = (version?: number) =>
  versionConflict(
    `Somebody else has changed the plan${version === undefined ? '' : `, which is at version ${version} now`}. Read it again before you change it.`,
  )
