// TypeScript declarations of a project's tracking plan: npm run types -- --project prj_… --out events.d.ts
import { rename, rm, writeFile } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { parseArgs } from 'node:util'

const USAGE = `npm run types -- --project prj_… --out events.d.ts

Writes the types of the project's tracking plan. METERHOUSE_URL is the server (http://localhost:3000 unless set) and
METERHOUSE_API_KEY an API key of the project with the scope tracking_plan:read.`
const TIMEOUT_MS = 60_000

try {
  await main(process.argv.slice(2))
} catch (error) {
  console.error((error as Error).message)
  process.exitCode = 1
}

async function main(argv: string[]): Promise<void> {
  const text = { type: 'string' } as const
  const { values } = parseArgs({
    args: argv,
    options: { project: text, out: text, help: { type: 'boolean', short: 'h' } },
  })
  if (values.help) return console.log(USAGE)
  const { project = '', out } = values
  if (!/^prj_[0-9a-z]{26}$/.test(project))
    throw new Error(`--project has to be the id of a project, like prj_…\n\n${USAGE}`)
  if (!out) throw new Error(`--out has to be the file to write\n\n${USAGE}`)
  // npm runs scripts in the folder of the package and says here where it was called.
  const file = resolve(process.env.INIT_CWD ?? '.', out)
  const types = await fetchTypes(project)
  await replace(file, types)
  console.log(`${file}: ${types.match(/^\/\/ (.*?)\./)?.[1]}`)
}

async function fetchTypes(project: string): Promise<string> {
  const { METERHOUSE_URL: url = 'http://localhost:3000', METERHOUSE_API_KEY: key } = process.env
  if (!URL.canParse(url)) throw new Error('METERHOUSE_URL has to be a URL, like https://meterhouse.example')
  if (!key) throw new Error('METERHOUSE_API_KEY has to be an API key with the scope tracking_plan:read')
  const answer = await fetch(new URL(`/v1/projects/${project}/tracking-plan/types`, url), {
    headers: { authorization: `Bearer ${key}` },
    redirect: 'error',
    signal: AbortSignal.timeout(TIMEOUT_MS),
  }).catch((error: Error) => {
    throw new Error(`${url} does not answer: ${error.cause instanceof Error ? error.cause.message : error.message}`)
  })
  const body = await answer.text()
  if (!answer.ok) throw new Error(`${url} answered ${answer.status}: ${detailOf(body)}`)
  if (!answer.headers.get('content-type')?.startsWith('application/typescript'))
    throw new Error(`${url} is not a Meterhouse server`)
  return body
}

function detailOf(body: string): string {
  try {
    return String((JSON.parse(body) as { detail?: unknown }).detail)
  } catch {
    return 'no details'
  }
}

/** The file is the old one or the new one, whatever happens in between. */
async function replace(file: string, text: string): Promise<void> {
  const temporary = join(dirname(file), `.${basename(file)}.${process.pid}`)
  try {
    await writeFile(temporary, text, { flush: true })
    await rename(temporary, file)
  } catch (error) {
    await rm(temporary, { force: true })
    throw new Error(`${file} cannot be written: ${(error as Error).message}`)
  }
}
