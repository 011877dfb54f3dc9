import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { openServiceDirectory, writePrivateFile } from './data-directory.ts'
import { rememberedPort } from './ports.ts'
import { acceptsConnections } from './probes.ts'
import { type SupervisedProcess, type Surroundings, superviseProcess } from './supervised-process.ts'

export interface EmbeddedMailbox extends SupervisedProcess {
  /** `smtp://127.0.0.1:port` */
  smtpUrl: string
  /** The page that shows what was sent. */
  webUrl: string
}

export interface MailboxOptions extends Surroundings {
  directory: string
}

/** It renders mails with a whole browser's worth of code; this halves what that keeps in memory. */
const smallHeap = ['--max-semi-space-size=1', '--optimize-for-size']
const program = fileURLToPath(new URL('bin/maildev.js', import.meta.resolve('maildev')))

/** Starts a mail server that delivers nothing and shows everything on a page; the last 500 mails survive a restart. */
export async function startMailbox(options: MailboxOptions): Promise<EmbeddedMailbox> {
  const directory = await openServiceDirectory(options.directory)
  const smtp = await rememberedPort(join(directory.path, 'smtp-port'))
  const web = await rememberedPort(join(directory.path, 'web-port'))
  const mailDirectory = join(directory.path, 'mail')
  mkdirSync(mailDirectory, { recursive: true, mode: 0o700 })
  const configFile = join(directory.path, 'maildev.json')
  const configuration = { smtp, web, ip: '127.0.0.1', webIp: '127.0.0.1', mailDirectory, maxEmails: 500, silent: true }
  writePrivateFile(configFile, `${JSON.stringify(configuration, null, 2)}\n`)
  const supervised = await superviseProcess(
    {
      name: 'Mail inbox',
      command: [process.execPath, ...smallHeap, program, '--config', configFile],
      environment: withoutMaildevVariables(),
      workingDirectory: directory.path,
      logFile: join(directory.path, 'maildev.log'),
      pidFile: directory.pidFile,
      stopSignal: 'SIGTERM',
      stopTimeoutMs: 1000,
      readyTimeoutMs: 60_000,
      isReady: async () => (await acceptsConnections(smtp)) && (await acceptsConnections(web)),
    },
    options,
  )
  if (directory.isNew) directory.markComplete()
  return { ...supervised, smtpUrl: `smtp://127.0.0.1:${smtp}`, webUrl: `http://127.0.0.1:${web}` }
}

/** Variables meant for somebody's own maildev would win over our configuration file. */
function withoutMaildevVariables(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('MAILDEV_')))
}
