import { invalidRequest } from '../../errors.ts'
import { readTimeZone } from '../../http/schemas.ts'
import { readOrigins } from './origins.ts'
import type { Project } from './schemas.ts'

/** A project as it is shown. */
export function toProject(row: Omit<Project, 'createdAt'> & { createdAt: Date }): Project {
  const { id, organizationId, name, timeZone, allowedOrigins, ipPolicy, retentionDays, createdAt } = row
  const settings = { timeZone, allowedOrigins, ipPolicy, retentionDays }
  return { id, organizationId, name, ...settings, createdAt: createdAt.toISOString() }
}

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
