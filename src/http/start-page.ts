import { readFileSync } from 'node:fs'
import type { FastifyPluginAsync, FastifyRequest } from 'fastify'

interface StartPageOptions {
  /** Web page of the development mail inbox, where there is one. */
  inboxUrl: string | undefined
  /** The project that is shown live, on development servers only. */
  demo: string | undefined
  issueViewer: (projectId: string) => { accessToken: string }
}

const asset = (name: string) => readFileSync(new URL(`start-page/${name}`, import.meta.url), 'utf8')
const PAGE = asset('page.html')
const ASSETS = [
  { url: '/start-page.js', type: 'text/javascript; charset=utf-8', body: asset('page.js') },
  { url: '/start-page.css', type: 'text/css; charset=utf-8', body: asset('page.css') },
]

/** The page at /: what this is, where to go, and on a development server the demo project's events as they arrive. */
const startPage: FastifyPluginAsync<StartPageOptions> = async (app, { inboxUrl, demo, issueViewer }) => {
  app.get('/', { config: { access: 'public' }, schema: { hide: true } }, async (request, reply) => {
    // The token reads one demo project and nothing else, and is handed only to a browser that asks this machine by its own name,
    // so that a foreign page cannot have it fetched through a domain that it points here.
    const watched = demo !== undefined && isLocal(request) ? { projectId: demo, ...issueViewer(demo) } : undefined
    const html = PAGE.replaceAll('{{projectId}}', watched?.projectId ?? '')
      .replaceAll('{{token}}', watched?.accessToken ?? '')
      .replaceAll('{{inbox}}', inboxUrl ? `<a href="${escapeHtml(inboxUrl)}">Mail inbox</a>` : '')
    return reply.type('text/html; charset=utf-8').header('cache-control', 'no-store').send(html)
  })
  for (const { url, type, body } of ASSETS) {
    app.get(url, { config: { access: 'public' }, schema: { hide: true } }, async (_request, reply) =>
      reply.type(type).header('cache-control', 'no-cache').send(body),
    )
  }
}
export default startPage

function isLocal(request: FastifyRequest): boolean {
  const name = request.hostname.replace(/:\d+$/, '')
  return ['localhost', '127.0.0.1', '[::1]'].includes(name)
}

const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }
const escapeHtml = (text: string) => text.replace(/[&<>"']/g, (character) => ENTITIES[character] ?? character)
