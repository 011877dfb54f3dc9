import { invalidRequest } from '../../../errors.ts'
import type { Acting } from '../../../http/acting.ts'
import { newId } from '../../../ids.ts'
import type { Postgres } from '../../../infra/postgres.ts'
import { record } from '../../audit/index.ts'
import { alertExists, alertNotFound, tooManyAlerts } from '../errors.ts'
import type { Meter } from '../meters/schemas.ts'
import type { ReadWholes } from '../outlook/outlook.ts'
import type { AlertAnswer, AlertInput } from './schemas.ts'
import * as store from './store.ts'
import { builtInOf, isSame, type Threshold } from './thresholds.ts'

interface Dependencies {
  postgres: Postgres
  meters: { listMeters: (organizationId: string) => Promise<Meter[]> }
  outlook: ReadWholes
  /** Lets the new alert be looked at soon, though nothing is used. */
  touch: (organizationId: string) => Promise<void>
  clock: () => Date
}

export type AlertsService = ReturnType<typeof createAlertsService>

const ALERTS_MAX = 50
const PERCENT_MAX = 1000n

/** What an organization is told of its usage. */
export function createAlertsService({ postgres, meters, outlook, touch, clock }: Dependencies) {
  async function thresholdOf(organizationId: string, input: AlertInput): Promise<Threshold> {
    const { kind, meter = 'events' } = input
    const threshold = BigInt(input.threshold)
    if (kind === 'spend') {
      if (input.meter !== undefined) refuse('/meter', 'is not for spend, which is of all meters')
      return { kind, meterKey: '', threshold }
    }
    if (kind !== 'quantity' && threshold > PERCENT_MAX)
      refuse('/threshold', `must be ${PERCENT_MAX} percent at the most`)
    if (!(await meters.listMeters(organizationId)).some(({ key }) => key === meter))
      refuse('/meter', 'is not a meter of the organization')
    return { kind, meterKey: meter, threshold }
  }

  return {
    /** Those that everybody has, for what has a limit or is included, then the organization's own; with what became of them. */
    async list(organizationId: string): Promise<AlertAnswer[]> {
      const { periodId, wholes } = await outlook.wholes(organizationId)
      return postgres.withTenant(organizationId, async (tx) => {
        const fired = periodId === null ? [] : await store.listFirings(tx, periodId)
        const builtIn = builtInOf([...wholes.keys()])
        const own = await store.listAlerts(tx)
        const known = [
          ...builtIn.map((threshold) => ({ ...threshold, row: undefined })),
          ...own.map((row) => ({ ...row, row })),
        ]
        return known.map(({ row, ...threshold }) => {
          const firing = fired.find((one) => isSame(one, threshold))
          return toAnswer(threshold, row, firing)
        })
      })
    },

    /** Throws 409 where somebody is told of the same threshold already. */
    async create(organizationId: string, input: AlertInput, by: Acting): Promise<AlertAnswer> {
      const threshold = await thresholdOf(organizationId, input)
      const taken = () => alertExists('There is an alert with this threshold already.')
      if (builtInOf([threshold.meterKey]).some((one) => isSame(one, threshold))) throw taken()
      const now = clock()
      const row = {
        organizationId,
        id: newId('alt', now.getTime()),
        ...threshold,
        createdBy: userOf(by),
        createdAt: now,
      }
      await postgres.withTenant(organizationId, async (tx) => {
        if ((await store.countAlerts(tx)) >= ALERTS_MAX)
          throw tooManyAlerts(`An organization has ${ALERTS_MAX} at the most.`)
        if (!(await store.insertAlert(tx, row))) throw taken()
        const target = { kind: 'usage_alert', id: row.id }
        await record(tx, { organizationId, by, action: 'usage_alert.created', target, after: factsOf(row) })
      })
      // It is there. Without the mark it is looked at when something is used.
      await touch(organizationId).catch(() => {})
      return toAnswer(threshold, row, undefined)
    },

    async delete(organizationId: string, alertId: string, by: Acting): Promise<void> {
      await postgres.withTenant(organizationId, async (tx) => {
        const row = await store.deleteAlert(tx, organizationId, alertId)
        if (!row) throw alertNotFound('There is no such alert.')
        const target = { kind: 'usage_alert', id: alertId }
        await record(tx, { organizationId, by, action: 'usage_alert.deleted', target, before: factsOf(row) })
      })
    },
  }
}

function toAnswer(
  { kind, meterKey, threshold }: Threshold,
  row: store.AlertRow | undefined,
  firing: store.FiringRow | undefined,
): AlertAnswer {
  return {
    id: row?.id ?? null,
    kind,
    meter: meterKey || null,
    threshold: threshold.toString(),
    builtIn: !row,
    createdAt: row?.createdAt.toISOString() ?? null,
    fired: firing ? { at: firing.firedAt.toISOString(), value: firing.value, mailed: firing.mailed } : null,
  }
}

const factsOf = ({ kind, meterKey, threshold }: Threshold) => ({
  kind,
  meter: meterKey || null,
  threshold: threshold.toString(),
})

function refuse(path: string, message: string): never {
  throw invalidRequest(`${path} ${message}.`, { errors: [{ path, message }] })
}

function userOf({ principal }: Acting): string {
  if (principal.kind !== 'session') throw new Error('only people make alerts')
  return principal.userId
}
