import fastify from 'fastify'
import type { Test } from 'tap'
import insights from '../../src/domains/insights/index.ts'
import problems from '../../src/http/problems.ts'
import { ProblemSchema } from '../../src/http/schemas.ts'
import { validatorCompiler } from '../../src/http/validation.ts'
import { newId } from '../../src/ids.ts'
import { openEventStore, type TestEvent } from './insights.ts'

export const COMPLETE_THROUGH = '2026-03-10T00:00:00.000Z'

/** The routes with a guard that lets one project in and no database but the event store. */
export async function openRoutes(t: Test) {
  const store = await openEventStore(t)
  const mine = { organizationId: newId('org'), projectId: newId('prj') }
  const sibling = { ...mine, projectId: newId('prj') }
  const stranger = { ...mine, organizationId: newId('org') }
  const app = fastify()
  app.setValidatorCompiler(validatorCompiler)
  app.addSchema(ProblemSchema)
  app.decorate('clickhouse', store.clickhouse)
  app.decorateRequest('principal', null)
  app.decorateRequest('scope', null)
  app.addHook('onRequest', async (request) => {
    const { projectId } = request.params as { projectId: string }
    request.scope = projectId === mine.projectId ? mine : null
  })
  await app.register(problems)
  await app.register(insights, { completeThrough: async () => new Date(COMPLETE_THROUGH) })
  t.teardown(() => app.close())

  const get = async (path: string, query: Record<string, string | number> = {}) => {
    const text = Object.fromEntries(Object.entries(query).map(([name, value]) => [name, String(value)]))
    const answer = await app.inject({ url: `/v1/projects/${mine.projectId}/${path}`, query: text })
    return { status: answer.statusCode, body: answer.json(), text: answer.body }
  }
  const ask = async (payload: unknown) => {
    const answer = await app.inject({
      method: 'POST',
      url: `/v1/projects/${mine.projectId}/query`,
      payload: payload as object,
    })
    return { status: answer.statusCode, body: answer.json() }
  }
  return {
    get,
    ask,
    insert: (events: Partial<TestEvent>[]) => store.insert(mine, events),
    /** Into a project of the same id in another organization, and into another project of the same one. */
    async insertElsewhere(events: Partial<TestEvent>[]) {
      for (const scope of [sibling, stranger]) await store.insert(scope, events)
    },
  }
}
