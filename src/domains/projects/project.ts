import { invalidRequest } from '../../errors.ts'
import { readTimeZone } from '../../http/schemas.ts'
import { readOrigins } from './origins.ts'
import { keptDays } from './retention/kept-days.ts'
import type { Project } from './schemas.ts'

type Shown = Omit<Project, 'createdAt' | 'effectiveRetentionDays'> & { createdAt: Date }

/** A project as it is shown; `maxDays` is what its organization's plan keeps. */
export function toProject(row: Shown, maxDays: number | null): Project {
  const { id, organizationId, name, timeZone, allowedOrigins, ipPolicy, retentionDays, createdAt } = row
  const effectiveRetentionDays = keptDays(retentionDays, maxDays)
  const settings = { timeZone, allowedOrigins, ipPolicy, retentionDays, effectiveRetentionDays }
  return { id, organizationId, name, ...settings, createdAt: createdAt.toISOString() }
}

/** What the audit log says of a project. */
export const settingsOf = ({ name, timeZone, allowedOrigins, ipPolicy, retentionDays }: Omit<Shown, 'createdAt'>) => ({
  ...{ name, timeZone, allowedOrigins, ipPolicy, retentionDays },
})

interface Settings {
  allowedOrigins?: string[]
  timeZone?: string
}

/** What somebody says of a project, each field in its one form. Throws 400, which names the field that has none. */
export function readSettings<T extends Settings>(input: T): T {
  const settings = { ...input }
  if (input.allowedOrigins) settings.allowedOrigins = readOrigins(input.allowedOrigins)
  if (input.timeZone !== undefined) {
    const timeZone = readTimeZone(input.timeZone)
    const errors = [{ path: '/timeZone', message: 'is not an IANA time zone, such as Europe/Berlin' }]
    if (timeZone === undefined) throw invalidRequest('The project cannot be like this.', { errors })
    settings.timeZone = timeZone
  }
  return settings
}
