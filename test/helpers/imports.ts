import { readdirSync, readFileSync } from 'node:fs'
import { posix } from 'node:path'

/** Files by their path from the root of the project. */
export type SourceTree = Map<string, string>

/** One import, export from or dynamic import of a file. */
export interface Import {
  from: string
  /** As written. */
  specifier: string
  /** Path from the root of the project; undefined for a package. */
  target: string | undefined
}

const STATIC =
  /^(?:import|export)\s+(?:type\s+)?(?:[\w$]+\s*,?\s*)?(?:\{[^}]*\}|\*(?:\s+as\s+[\w$]+)?)?\s*from\s*['"]([^'"]+)['"]/gm
const SIDE_EFFECT = /^import\s*['"]([^'"]+)['"]/gm
const DYNAMIC = /\bimport\s*\(\s*(?:['"]([^'"]+)['"])?/g

/** What stands in for the specifier of an import that is computed while the program runs. */
export const COMPUTED = '(computed)'

/** Reads every file below a folder of the project. */
export function readTree(root: URL, folder: string): SourceTree {
  const entries = readdirSync(new URL(`${folder}/`, root), { recursive: true, withFileTypes: true })
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => posix.join(entry.parentPath, entry.name))
  const base = new URL('.', root).pathname
  return new Map(paths.sort().map((path) => [path.slice(base.length), readFileSync(path, 'utf8')]))
}

/** Every import of a file, those of types included: what a file must know of another is an arrow, whatever becomes of it at run time. */
export function importsOf(path: string, text: string): Import[] {
  const code = withoutComments(text)
  const specifiers = [STATIC, SIDE_EFFECT, DYNAMIC].flatMap((pattern) =>
    [...code.matchAll(pattern)].map(([, specifier]) => specifier ?? COMPUTED),
  )
  return specifiers.map((specifier) => ({
    from: path,
    specifier,
    target: specifier.startsWith('.') ? posix.join(posix.dirname(path), specifier) : undefined,
  }))
}

/** Only comments that begin a line, which is where the formatter leaves them: elsewhere the same marks may stand in a string. */
export function withoutComments(text: string): string {
  return text.replaceAll(/^\s*\/\*[\s\S]*?\*\//gm, '').replaceAll(/^\s*\/\/.*$/gm, '')
}
