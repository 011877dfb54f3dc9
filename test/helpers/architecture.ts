import { builtinModules } from 'node:module'
import { COMPUTED, type Import, importsOf, type SourceTree, withoutComments } from './imports.ts'

/** A layer, and the layers that it may import. Every layer may import its own files. */
export type Arrows = Map<string, Set<string>>

export interface Rules {
  arrows: Arrows
  /** The same between the files of one domain, by file name; every other name counts as a `station`. */
  inDomain: Arrows
  /** The packages that the program may import. */
  dependencies: Set<string>
}

/** `a -> b, c` line by line, as ARCHITECTURE.md draws it. */
export function parseArrows(text: string): Arrows {
  const lines = text.split('\n').filter((line) => line.trim() !== '')
  return new Map(
    lines.map((line) => {
      const [from = '', to] = line.split('->')
      if (to === undefined) throw new Error(`not an arrow: ${line}`)
      return [from.trim(), new Set(to.split(',').flatMap((name) => name.trim() || []))]
    }),
  )
}

/** One line for everything in `src/` that the rules do not allow. */
export function architectureFaults(tree: SourceTree, rules: Rules): string[] {
  const files = [...tree].filter(([path]) => path.endsWith('.ts'))
  const imports = files.flatMap(([path, text]) => importsOf(path, text))
  return [
    ...files
      .filter(([path]) => !rules.arrows.has(layerOf(path)))
      .map(([path]) => `${path} is in no layer of the picture`),
    ...imports.flatMap((one) => importFault(one, tree, rules) ?? []),
    ...circles(imports),
    ...domainCircles(imports),
    ...files.flatMap(([path, text]) => textFaults(path, withoutComments(text))),
    ...shapeFaults(tree),
  ]
}

/** Arrows of the picture that no import uses: it allows more than there is. */
export function unusedArrows(tree: SourceTree, arrows: Arrows): string[] {
  const used = new Set(
    [...tree].flatMap(([path, text]) =>
      importsOf(path, text).map(({ target }) => `${layerOf(path)} -> ${target && layerOf(target)}`),
    ),
  )
  return [...arrows]
    .flatMap(([from, to]) => [...to].map((name) => `${from} -> ${name}`))
    .filter((arrow) => !used.has(arrow))
}

const LINES_MAX = 300
const VAGUE_NAMES = new Set(['util', 'utils', 'helper', 'helpers', 'common', 'manager', 'managers'])

/** Faults of a file's size and name, which hold for scripts too. */
export function shapeFaults(tree: SourceTree): string[] {
  return [...tree].flatMap(([path, text]) => {
    const lines = text.trimEnd().split('\n').length
    const vague = path.split(/[/._-]/).find((word) => VAGUE_NAMES.has(word.toLowerCase()))
    return [
      ...(lines > LINES_MAX ? [`${path} has ${lines} lines, more than ${LINES_MAX}`] : []),
      ...(vague ? [`${path} is called ${vague}, which says nothing`] : []),
    ]
  })
}

function layerOf(path: string): string {
  const [, top = '', inside] = path.split('/')
  return inside === undefined ? top.replace(/\.ts$/, '') : top
}

const domainOf = (path: string) => path.match(/^src\/domains\/([^/]+)\//)?.[1]
const baseName = (path: string) => path.split('/').at(-1)?.replace(/\.ts$/, '') ?? ''

function importFault(one: Import, tree: SourceTree, rules: Rules): string | undefined {
  const { from, specifier, target } = one
  if (specifier === COMPUTED) return `${from} imports something that is computed`
  if (target === undefined) return packageFault(one, rules)
  // The only file outside that the program needs: it says its version.
  if (target === 'package.json') return
  if (!target.startsWith('src/')) return `${from} imports ${target}, which is not part of the program`
  if (!tree.has(target)) return `${from} imports ${target}, which does not exist`
  const [layer, other] = [layerOf(from), layerOf(target)]
  if (layer !== other && !rules.arrows.get(layer)?.has(other))
    return `${from} -> ${target}: ${layer} may not import ${other}`
  const [domain, otherDomain] = [domainOf(from), domainOf(target)]
  if (!otherDomain) return
  if (domain === otherDomain) return insideFault(from, target, rules)
  const isDoor = target === `src/domains/${otherDomain}/index.ts`
  // A foreign key has to name the table that it points to, and tables know nothing else.
  const isForeignKey = baseName(from) === 'tables' && baseName(target) === 'tables'
  if (!isDoor && !isForeignKey) return `${from} -> ${target}: a domain is entered through its index.ts`
}

function insideFault(from: string, target: string, { inDomain }: Rules): string | undefined {
  const kindOf = (path: string) => (inDomain.has(baseName(path)) ? baseName(path) : 'station')
  const [kind, other] = [kindOf(from), kindOf(target)]
  if (!inDomain.get(kind)?.has(other)) return `${from} -> ${target}: in a domain, ${kind} may not import ${other}`
}

const WITHOUT_HTTP = new Set(['service', 'store', 'queries', 'tables'])

function packageFault({ from, specifier }: Import, { dependencies }: Rules): string | undefined {
  if (specifier.startsWith('node:')) return
  if (builtinModules.includes(specifier)) return `${from} imports ${specifier} without node:`
  const name = specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/')
  if (!dependencies.has(name)) return `${from} imports ${name}, which is not among the dependencies`
  const speaksHttp = name === 'fastify' || name.startsWith('@fastify/')
  if (speaksHttp && domainOf(from) && WITHOUT_HTTP.has(baseName(from)))
    return `${from} imports ${name}, but knows no HTTP`
}

function textFaults(path: string, code: string): string[] {
  const rules: [RegExp, string, string][] = [
    [/\bprocess\.env\b|['"](?:node:)?process['"]/, 'src/config.ts', 'reads the environment'],
    [/\bprocess\.(?:exit|on|once|kill|abort)\b/, 'src/server.ts', 'steers the process'],
    [/\b(?:require\s*\(|createRequire\b|import\.meta\.resolve\b)/, '', 'loads a module in a way that no rule sees'],
  ]
  return rules.filter(([pattern, only]) => path !== only && pattern.test(code)).map(([, , fault]) => `${path} ${fault}`)
}

function circles(imports: Import[]): string[] {
  return circlesOf(
    imports.flatMap(({ from, target }) => (target === undefined || target === from ? [] : [[from, target]])),
  )
}

/** Between domains a circle counts even when no two files form it; foreign keys do not, as the tables of all are one schema. */
function domainCircles(imports: Import[]): string[] {
  const between = imports.flatMap(({ from, target = '' }) => {
    const [domain, other] = [domainOf(from), domainOf(target)]
    return domain && other && domain !== other && baseName(from) !== 'tables' ? [[domain, other]] : []
  })
  return circlesOf(between)
}

function circlesOf(edges: string[][]): string[] {
  const next = new Map<string, Set<string>>()
  for (const [from = '', to = ''] of edges) next.set(from, (next.get(from) ?? new Set()).add(to))
  const found: string[] = []
  const done = new Set<string>()
  const walk = (node: string, path: string[]) => {
    const start = path.indexOf(node)
    if (start >= 0) return void found.push(`a circle: ${[...path.slice(start), node].join(' -> ')}`)
    if (done.has(node)) return
    for (const target of next.get(node) ?? []) walk(target, [...path, node])
    done.add(node)
  }
  for (const node of next.keys()) walk(node, [])
  return found
}
