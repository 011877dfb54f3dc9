import type { Project } from './schemas.ts'

/** A project as it is shown. */
export function toProject(row: Omit<Project, 'createdAt'> & { createdAt: Date }): Project {
  const { id, organizationId, name, allowedOrigins, ipPolicy, createdAt } = row
  return { id, organizationId, name, allowedOrigins, ipPolicy, createdAt: createdAt.toISOString() }
}
