import { type TSchema, Type } from '@sinclair/typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'

const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }
const escapeHtml = (text: string) => text.replace(/[&<>"]/g, (character) => ENTITIES[character] ?? character)

/** Whether it is a browser that takes a person somewhere, and no program. */
export const wantsPage = ({ headers }: FastifyRequest): boolean => headers.accept?.includes('text/html') === true

/** Says a problem as a page to a browser, since a person looks at it. Programs get it as they get every other. */
export async function problemAsPage(request: FastifyRequest, reply: FastifyReply, payload: unknown): Promise<unknown> {
  const isProblem = String(reply.getHeader('content-type')).startsWith('application/problem+json')
  if (!isProblem || !wantsPage(request)) return payload
  const { title, detail } = JSON.parse(String(payload)) as { title: string; detail: string }
  const page = pageOf(escapeHtml(title), escapeHtml(detail))
  reply.type('text/html; charset=utf-8').header('content-length', Buffer.byteLength(page)).header('vary', 'accept')
  return page
}

/** The same problems as the OpenAPI document has them of a route that says them as pages, too. */
export function alsoAsPages<Responses extends Record<number, TSchema>>(responses: Responses): Responses {
  const asPage = { 'text/html': { schema: Type.String({ description: 'To a browser: a page that says it.' }) } }
  const entries = Object.entries(responses).map(([status, response]) => {
    const { content } = response as TSchema & { content: object }
    return [status, { ...response, content: { ...content, ...asPage } }]
  })
  return Object.fromEntries(entries) as Responses
}

const pageOf = (title: string, detail: string) => `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <meta name="referrer" content="no-referrer">
    <title>${title}</title>
    <link rel="icon" href="data:,">
    <link rel="stylesheet" href="/start-page.css">
  </head>
  <body>
    <header><h1>Meterhouse</h1></header>
    <main>
      <h2>${title}</h2>
      <p>${detail}</p>
      <p><a href="/">Meterhouse</a></p>
    </main>
  </body>
</html>
`
