import { readFileSync } from 'node:fs'
import t from 'tap'
import manifest from '../package.json' with { type: 'json' }
import { architectureFaults, parseArrows, type Rules, shapeFaults, unusedArrows } from './helpers/architecture.ts'
import { readTree } from './helpers/imports.ts'

/**
 * Which file of a domain may import which other of the same domain. `station` is every file with a name of its own: a step of
 * the pipeline, a compiler, a predicate. Between layers the picture in ARCHITECTURE.md is the rule.
 */
const IN_DOMAIN = parseArrows(`
  index   -> routes, jobs, service, errors, station
  routes  -> service, schemas, errors, station
  jobs    -> service, schemas, errors, station
  service -> store, queries, schemas, errors, station
  store   -> tables, schemas, errors
  queries -> schemas, errors, station
  station -> queries, schemas, errors, station
  schemas -> station
  tables  ->
  errors  ->
`)

const ROOT = new URL('../', import.meta.url)
const picture = readFileSync(new URL('ARCHITECTURE.md', ROOT), 'utf8').match(/```arrows\n([\s\S]*?)```/)?.[1]
if (!picture) throw new Error('ARCHITECTURE.md has no block of arrows')
const rules: Rules = {
  arrows: parseArrows(picture),
  inDomain: IN_DOMAIN,
  dependencies: new Set(Object.keys(manifest.dependencies)),
}
const src = readTree(ROOT, 'src')

t.test('every import follows an arrow of the picture, and nothing goes in a circle', async (t) => {
  t.ok(src.size > 50, 'the sources were found')
  t.same(architectureFaults(src, rules), [])
})

t.test('every arrow of the picture is an import', async (t) => {
  t.same(unusedArrows(src, rules.arrows), [])
})

t.test('scripts keep to the same size and names', async (t) => {
  t.same(shapeFaults(readTree(ROOT, 'scripts')), [])
})

t.test('each rule can be broken', async (t) => {
  const broken: Record<string, [files: Record<string, string>, fault: RegExp]> = {
    'a wrong arrow': [
      { 'src/infra/a.ts': `import { b } from '../http/b.ts'`, 'src/http/b.ts': '' },
      /infra may not import http/,
    ],
    'a wrong arrow of a type': [
      { 'src/infra/a.ts': `import type {\n  B,\n} from '../domains/b/index.ts'`, 'src/domains/b/index.ts': '' },
      /infra may not import domains/,
    ],
    'a wrong arrow of a re-export': [
      { 'src/http/a.ts': `export * as b from '../domains/b/index.ts'`, 'src/domains/b/index.ts': '' },
      /http may not import domains/,
    ],
    'a wrong arrow of a side effect': [
      { 'src/config.ts': `import './infra/a.ts'`, 'src/infra/a.ts': '' },
      /config may not import infra/,
    ],
    'a wrong arrow of a dynamic import': [
      { 'src/http/a.ts': `const b = await import('../domains/b/index.ts')`, 'src/domains/b/index.ts': '' },
      /http may not import domains/,
    ],
    'a computed import': [{ 'src/http/a.ts': 'await import(name)' }, /computed/],
    'a file of no layer': [{ 'src/tools/a.ts': '' }, /in no layer/],
    'a file that is not there': [{ 'src/app.ts': `import a from './infra/a.ts'` }, /does not exist/],
    'a script in the program': [{ 'src/app.ts': `import a from '../scripts/a.ts'` }, /not part of the program/],
    'a test in the program': [{ 'src/http/a.ts': `import a from '../../test/a.ts'` }, /not part of the program/],
    'a development package': [{ 'src/app.ts': `import t from 'tap'` }, /tap, which is not among the dependencies/],
    'a scoped development package': [
      { 'src/app.ts': `import '@biomejs/biome/x'` },
      /@biomejs\/biome, which is not among/,
    ],
    'a builtin by its short name': [{ 'src/app.ts': `import fs from 'fs'` }, /without node:/],
    'the back door of a domain': [
      { 'src/domains/a/service.ts': `import { b } from '../b/store.ts'`, 'src/domains/b/store.ts': '' },
      /entered through its index/,
    ],
    'the back door from the app': [
      { 'src/app.ts': `import { b } from './domains/b/store.ts'`, 'src/domains/b/store.ts': '' },
      /entered through/,
    ],
    'a route that reads a table': [
      { 'src/domains/a/routes.ts': `import { b } from './tables.ts'`, 'src/domains/a/tables.ts': '' },
      /routes may not import tables/,
    ],
    'a store that calls its service': [
      { 'src/domains/a/store.ts': `import { b } from './service.ts'`, 'src/domains/a/service.ts': '' },
      /store may not import service/,
    ],
    'a station that calls a route': [
      { 'src/domains/a/sink.ts': `import { b } from './routes.ts'`, 'src/domains/a/routes.ts': '' },
      /station may not import routes/,
    ],
    'a service that knows HTTP': [{ 'src/domains/a/service.ts': `import type { A } from 'fastify'` }, /knows no HTTP/],
    'a circle of files': [
      { 'src/infra/a.ts': `import './b.ts'`, 'src/infra/b.ts': `import './c.ts'`, 'src/infra/c.ts': `import './a.ts'` },
      /^a circle: src\/infra\/a.ts -> src\/infra\/b.ts -> src\/infra\/c.ts -> src\/infra\/a.ts$/,
    ],
    'a circle of domains': [
      {
        'src/domains/a/index.ts': '',
        'src/domains/a/service.ts': `import '../b/index.ts'`,
        'src/domains/b/index.ts': '',
        'src/domains/b/service.ts': `import '../a/index.ts'`,
      },
      /^a circle: a -> b -> a$/,
    ],
    'another reader of the environment': [{ 'src/infra/a.ts': 'const a = process.env.A' }, /reads the environment/],
    'a reader that imports the environment': [
      { 'src/infra/a.ts': `import { env } from 'node:process'` },
      /reads the environment/,
    ],
    'another end of the process': [{ 'src/app.ts': 'process.exit(1)' }, /steers the process/],
    'a required module': [{ 'src/app.ts': `const a = require('a')` }, /no rule sees/],
    'a long file': [{ 'src/app.ts': '\n'.repeat(300).concat('a') }, /301 lines/],
    'a vague name': [{ 'src/http/date-utils.ts': '' }, /called utils/],
    'a vague folder': [{ 'src/infra/common/a.ts': '' }, /called common/],
  }
  for (const [name, [files, fault]] of Object.entries(broken)) {
    t.match(architectureFaults(new Map(Object.entries(files)), rules), [fault], name)
  }
})

t.test('what is allowed is not taken for a fault', async (t) => {
  const files = {
    'src/app.ts': `import a from './domains/a/index.ts'\nimport { b } from 'fastify'\nimport manifest from '../package.json' with { type: 'json' }`,
    'src/config.ts': 'export const a = process.env.A',
    'src/domains/a/index.ts': `export { a } from './service.ts'`,
    'src/domains/a/service.ts': `// import './routes.ts'\nimport { a } from './store.ts'\n/*\nimport './routes.ts'\n*/`,
    'src/domains/a/store.ts': `import { a } from './tables.ts'`,
    'src/domains/a/tables.ts': `import { b } from '../b/tables.ts'`,
    'src/domains/b/tables.ts': '',
    'src/domains/b/index.ts': `import type { A } from '../a/index.ts'`,
  }
  t.same(architectureFaults(new Map(Object.entries(files)), rules), [])
})

t.test('a picture that allows more than there is does not pass', async (t) => {
  const tree = new Map([['src/app.ts', `import './http/a.ts'`]])
  t.same(unusedArrows(tree, parseArrows('app -> http, infra\nhttp ->')), ['app -> infra'])
  t.throws(() => parseArrows('app to http'), { message: /not an arrow/ })
})
