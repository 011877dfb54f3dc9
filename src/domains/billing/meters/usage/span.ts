import type { Static } from '@sinclair/typebox'
import { type FieldError, invalidRequest } from '../../../../errors.ts'
import { type TimeInput, timeToMs } from '../../../../http/schemas.ts'

type Time = Static<typeof TimeInput>

const DAY_MS = 86_400_000
const SPAN_MS_MAX = 366 * DAY_MS
const LATEST_MS = Date.UTC(2200, 0)

/** Reads the times of a query by their names. Throws one 400 that names every faulty one. */
export function readTimes<Name extends string>(times: Record<Name, Time | undefined>): Record<Name, Date | undefined> {
  const errors: FieldError[] = []
  const read: Partial<Record<Name, Date>> = {}
  for (const [name, time] of Object.entries(times) as [Name, Time | undefined][]) {
    if (time === undefined) continue
    const ms = timeToMs(time)
    if (!(ms >= 0 && ms < LATEST_MS))
      errors.push({ path: `/querystring/${name}`, message: 'must be a date between 1970 and 2200' })
    else read[name] = new Date(ms)
  }
  refuse(errors)
  return read as Record<Name, Date | undefined>
}

/** Refuses what is no span, or one of more than a year. */
export function checkSpan(from: Date, to: Date): void {
  const errors: FieldError[] = []
  if (from >= to) errors.push({ path: '/querystring/to', message: 'must be later than from' })
  if (to.getTime() - from.getTime() > SPAN_MS_MAX)
    errors.push({ path: '/querystring/from', message: 'may be at most 366 days before to' })
  refuse(errors)
}

export function refuse(errors: FieldError[]): void {
  const [fault] = errors
  if (fault) throw invalidRequest(`${fault.path} ${fault.message}.`, { errors })
}
