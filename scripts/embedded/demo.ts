import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { writePrivateFile } from './data-directory.ts'
import { runProjectScript } from './project-script.ts'
import type { Credentials } from './screen.ts'

export interface Demo {
  file: string
  /** Undefined when the organization exists but nobody kept its credentials. */
  credentials: Credentials | undefined
  /** Writes the addresses of this start beside the credentials, for programs that read the file. */
  publish: (addresses: { baseUrl: string; mailUrl: string | undefined }) => void
}

/**
 * Makes the demo organization at the first start and remembers its credentials in `credentials.json`. Passwords and
 * keys exist in the database only as hashes, so this file is the one place they can be read.
 */
export async function openDemo(
  dataDirectory: string,
  isNewDatabase: boolean,
  environment: NodeJS.ProcessEnv,
): Promise<Demo> {
  const file = join(dataDirectory, 'credentials.json')
  const known = isNewDatabase ? undefined : readCredentials(file)
  const credentials = known ?? (await seed(environment))
  return {
    file,
    credentials,
    publish({ baseUrl, mailUrl }) {
      if (credentials) writePrivateFile(file, `${JSON.stringify({ baseUrl, mailUrl, ...credentials }, null, 2)}\n`)
    },
  }
}

function readCredentials(file: string): Credentials | undefined {
  try {
    return pickCredentials(JSON.parse(readFileSync(file, 'utf8')) as Partial<Credentials>)
  } catch {
    // Not there yet, or not JSON any more; the seed then says whether the organization exists.
    return undefined
  }
}

async function seed(environment: NodeJS.ProcessEnv): Promise<Credentials | undefined> {
  const output = await runProjectScript('seed.ts', environment)
  return pickCredentials(JSON.parse(output.split('\n').at(-1) ?? '') as Partial<Credentials>)
}

function pickCredentials(found: Partial<Credentials>): Credentials | undefined {
  const { email, password, organizationId, projectId, writeKey, apiKey } = found
  if (!email || !password || !organizationId || !projectId || !writeKey || !apiKey) return undefined
  return { email, password, organizationId, projectId, writeKey, apiKey }
}
