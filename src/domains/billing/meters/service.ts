import type { FieldError } from '../../../errors.ts'
import { invalidRequest } from '../../../errors.ts'
import type { Acting } from '../../../http/acting.ts'
import type { ClickHouse } from '../../../infra/clickhouse.ts'
import type { Postgres, TenantTx } from '../../../infra/postgres.ts'
import { record } from '../../audit/index.ts'
import { meterChanged, meterExists, meterNotFound, tooManyMeters } from '../errors.ts'
import { EVENTS_METER, measureOf, readMeasure } from './measure.ts'
import { createMeasuring, type Measured, type MeasuredPart, quantityOf } from './measuring.ts'
import type { Dimension, Extent } from './queries.ts'
import type { Page, Usage, UsageQuestion } from './question.ts'
import type { Meter, MeterDefinition, MeterInput, MeterVersionInput, PreviewAnswer, PreviewInput } from './schemas.ts'
import * as store from './store.ts'

interface MetersDependencies {
  postgres: Postgres
  clickhouse: Pick<ClickHouse, 'queryOrganization'>
  clock?: () => Date
}

export type MetersService = ReturnType<typeof createMetersService>

type Which = { version?: number | undefined; at?: Date | undefined }

const METERS_MAX = 100
const DAY_MS = 86_400_000

/** How the events of an organization become numbers. */
export function createMetersService({ postgres, clickhouse, clock = () => new Date() }: MetersDependencies) {
  /** A meter as it was defined; throws 404 for one that is not there. */
  const find = async (organizationId: string, key: string, which: Which = {}): Promise<Meter> => {
    if (key === EVENTS_METER.key) return (which.version ?? 1) === 1 ? EVENTS_METER : missing()
    const row = await postgres.withTenant(organizationId, (tx) => store.findVersion(tx, key, which))
    return row ? store.toMeter(row) : missing()
  }
  const measuring = createMeasuring({ clickhouse })

  return {
    listMeters: async (organizationId: string): Promise<Meter[]> => [
      EVENTS_METER,
      ...(await postgres.withTenant(organizationId, store.listNewest)).map(store.toMeter),
    ],

    /** The newest version of a meter, a named one, or the one that was the newest at a time. */
    readMeter: find,

    /** Throws 400 with every fault of the definition, and 409 for a key that is taken. */
    createMeter(organizationId: string, { key, ...definition }: MeterInput, by: Acting): Promise<Meter> {
      refuseFaults(definition)
      if (key === EVENTS_METER.key) throw meterExists('Every organization has the meter `events`.')
      return postgres.withTenant(organizationId, async (tx) => {
        if (await store.findVersion(tx, key, {})) throw meterExists('Change it by adding a version.')
        if ((await store.countKeys(tx)) >= METERS_MAX)
          throw tooManyMeters(`An organization has ${METERS_MAX} at the most.`)
        return insert(tx, { organizationId, key, version: 1, definition }, by)
      })
    },

    /** Adds a version, which counts from now on; throws 409 when somebody has added one since `baseVersion`. */
    addVersion(
      organizationId: string,
      key: string,
      { baseVersion, ...definition }: MeterVersionInput,
      by: Acting,
    ): Promise<Meter> {
      refuseFaults(definition)
      if (key === EVENTS_METER.key) throw meterExists('The meter `events` counts all events and cannot be changed.')
      return postgres.withTenant(organizationId, async (tx) => {
        const newest = (await store.findVersion(tx, key, {})) ?? missing()
        if (newest.version !== baseVersion) throw conflict()
        return insert(tx, { organizationId, key, version: baseVersion + 1, definition }, by, newest)
      })
    },

    /** What a definition would say of the last days; nothing is stored. */
    async preview(organizationId: string, { days, ...definition }: PreviewInput): Promise<PreviewAnswer> {
      const measure = refuseFaults(definition)
      const toMs = (Math.floor(clock().getTime() / DAY_MS) + 1) * DAY_MS
      const extent = { fromMs: toMs - days * DAY_MS, toMs }
      const [total, rows] = await Promise.all([
        measuring.whole(organizationId, measure, extent),
        measuring.split(organizationId, measure, extent, ['day']),
      ])
      return { data: rows.map((row) => ({ day: dayOf(row.keys[0]), ...toCounts(row) })), total: toCounts(total) }
    },

    /**
     * What is billed: exact, from the events that are stored when it is asked, each by its first copy. `receivedThrough` and
     * `receivedAfter` choose by when that copy came, so that a bill can be computed again for ever, and what came late apart from it.
     */
    async usage(organizationId: string, { meterKey, meterVersion, ...question }: UsageQuestion): Promise<Usage> {
      const meter = await find(organizationId, meterKey, { version: meterVersion })
      const measured = await measuring.whole(organizationId, measureOf(meter), extentOf(question))
      return { ...measured, quantity: quantityOf(measured), meterVersion: meter.version }
    },

    /** The same in parts, by as many dimensions as are asked for. Parts of a count or a sum add up to it, and so do all hashes. */
    async parts(
      organizationId: string,
      { meterKey, meterVersion, by, ...question }: UsageQuestion & { by: readonly Dimension[] },
    ): Promise<{ meter: Meter; rows: MeasuredPart[] }> {
      const meter = await find(organizationId, meterKey, { version: meterVersion })
      const rows = await measuring.split(organizationId, measureOf(meter), extentOf(question), by)
      return { meter, rows }
    },

    /** The events that a measure is made of, by name and id; `value` is null for one that is skipped. */
    async events(
      organizationId: string,
      { meterKey, meterVersion, page, ...question }: UsageQuestion & { page: Page },
    ) {
      const meter = await find(organizationId, meterKey, { version: meterVersion })
      return measuring.rows(organizationId, measureOf(meter), extentOf(question), page)
    },
  }

  async function insert(
    tx: TenantTx,
    row: Pick<store.MeterRow, 'organizationId' | 'key' | 'version'> & { definition: MeterDefinition },
    by: Acting,
    before?: store.MeterRow,
  ): Promise<Meter> {
    const stored = { ...row, createdBy: userOf(by), createdAt: clock() }
    if (!(await store.insertVersion(tx, stored))) throw before ? conflict() : meterExists('Somebody has just made it.')
    await record(tx, {
      organizationId: row.organizationId,
      by,
      action: before ? 'meter.changed' : 'meter.created',
      target: { kind: 'meter', id: row.key },
      ...(before && { before: { ...before.definition, version: before.version } }),
      after: { ...row.definition, version: row.version },
    })
    return store.toMeter(stored)
  }
}

const extentOf = ({
  from,
  to,
  receivedThrough,
  receivedAfter,
  projectId,
}: Omit<UsageQuestion, 'meterKey'>): Extent => ({
  fromMs: from.getTime(),
  toMs: to.getTime(),
  receivedThroughMs: receivedThrough?.getTime(),
  receivedAfterMs: receivedAfter?.getTime(),
  projectId,
})

const toCounts = ({ value, rowCount, skipped }: Measured) => ({
  value,
  events: String(rowCount),
  skipped: String(skipped),
})

const dayOf = (days = '0') => new Date(Number(days) * DAY_MS).toISOString().slice(0, 10)

function refuseFaults(definition: MeterDefinition) {
  const errors: FieldError[] = []
  const measure = readMeasure(definition, errors)
  const [fault] = errors
  if (fault) throw invalidRequest(`${fault.path} ${fault.message}.`, { errors })
  return measure
}

function userOf({ principal }: Acting): string {
  if (principal.kind !== 'session') throw new Error('only people define meters')
  return principal.userId
}

function missing(): never {
  throw meterNotFound('There is no such meter, or no such version of it.')
}

const conflict = () => meterChanged('Somebody else has changed the meter. Read it again before you change it.')
