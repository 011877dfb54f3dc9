import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { answersOk } from './probes.ts'
import { endLeftover } from './running-process.ts'
import { type SupervisedProcess, type Surroundings, superviseProcess } from './supervised-process.ts'

export interface ServerOptions extends Surroundings {
  environment: NodeJS.ProcessEnv
  port: number
  dataDirectory: string
}

const root = fileURLToPath(new URL('../..', import.meta.url))

/** Ends a server that a killed launcher left behind, so that its port is free again. */
export function endLeftoverServer(dataDirectory: string): Promise<void> {
  return endLeftover(pidFile(dataDirectory), 'SIGTERM')
}

/** Runs the server as a child that logs to this terminal; resolves when it says that it is ready for requests. */
export function startServer(options: ServerOptions): Promise<SupervisedProcess> {
  const url = `http://${reachableHost(options.environment.METERHOUSE_HOST)}:${options.port}/health/ready`
  return superviseProcess(
    {
      name: 'The server',
      command: [process.execPath, join(root, 'src', 'server.ts')],
      environment: options.environment,
      workingDirectory: root,
      logFile: 'inherit',
      pidFile: pidFile(options.dataDirectory),
      stopSignal: 'SIGTERM',
      stopTimeoutMs: 6000,
      readyTimeoutMs: 60_000,
      isReady: () => answersOk(url),
    },
    options,
  )
}

function pidFile(dataDirectory: string): string {
  return join(dataDirectory, 'server.pid')
}

/** An address to listen on everywhere is not one to connect to. */
function reachableHost(host = '127.0.0.1'): string {
  if (host === '0.0.0.0') return '127.0.0.1'
  if (host === '::') return '[::1]'
  return host.includes(':') ? `[${host}]` : host
}
