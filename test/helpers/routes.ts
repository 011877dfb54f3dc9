import type { FastifyInstance } from 'fastify'

export interface Route {
  method: string
  url: string
}

const LINE = /^([ │├└─]*)(.*) \(([A-Z, ]+)\)$/

/** Every route of the router, hidden ones included; HEAD goes with GET. Reads the tree that Fastify prints, four columns a level. */
export function routesOf(app: FastifyInstance): Route[] {
  const branch: string[] = []
  const routes: Route[] = []
  for (const line of app.printRoutes({ commonPrefix: false }).trimEnd().split('\n')) {
    const [, indentation = '', part = '', methods = ''] = line.match(LINE) ?? []
    const level = indentation.length / 4
    branch.splice(level - 1, Number.POSITIVE_INFINITY, part)
    // The tree leaves the slash of a wildcard out.
    const url = branch.join('').replace(/^\*/, '/*')
    for (const method of methods.split(', ').filter((name) => name !== 'HEAD')) {
      // A line that was read wrongly must not pass for a route, nor a route be lost in one.
      if (!app.hasRoute({ method, url })) throw new Error(`the router has no ${method} ${url}: ${line}`)
      routes.push({ method, url })
    }
  }
  return routes
}
