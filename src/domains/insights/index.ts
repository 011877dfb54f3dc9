import type { FastifyPluginAsync } from 'fastify'
import type { ProjectScope } from '../../http/access.ts'
import { insightsRoutes } from './routes.ts'
import { createInsightsService } from './service.ts'

export { eventNamesStatement, recentSpan } from './catalog.ts'
export { type Condition, readFilters } from './conditions.ts'
export { type Field, parseField, parseProperty } from './fields.ts'
export { createFilterPredicate } from './filter-predicate.ts'
export { FieldName, FilterSchema, Filters, OneOf } from './filter-schema.ts'
export { compileConditions, groupText, opaqueTime } from './filters.ts'
export { createParameters, type Parameters } from './parameters.ts'
export { sampleStatement } from './sample.ts'
export { createInsightsService, type InsightsService } from './service.ts'

/** The reading side: queries, usage, single events, and what exists. */
const insightsPlugin: FastifyPluginAsync<{ completeThrough: (scope: ProjectScope) => Promise<Date> }> = async (
  app,
  { completeThrough },
) => {
  const insights = createInsightsService({ clickhouse: app.clickhouse, completeThrough })
  await app.register(insightsRoutes, { insights })
}
export default insightsPlugin
