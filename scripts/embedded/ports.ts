import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { writePrivateFile } from './data-directory.ts'

/** A free loopback port, the same as last time while nobody else took it: open tabs and tools keep working. */
export async function rememberedPort(file: string): Promise<number> {
  const last = readPort(file)
  if (last !== undefined && (await isPortFree(last))) return last
  const port = await freePort()
  writePrivateFile(file, `${port}\n`)
  return port
}

export async function freePort(): Promise<number> {
  const port = await bind(0, '127.0.0.1')
  if (typeof port !== 'number') throw new Error('No free port on 127.0.0.1: is the loopback interface up?')
  return port
}

/** False only if somebody listens there; an address that this machine does not have is not taken by anybody. */
export async function isPortFree(port: number, host = '127.0.0.1'): Promise<boolean> {
  return (await bind(port, host)) !== 'taken'
}

/**
 * The port of the product itself: PORT or 3000, else the next free one with a note that says so. In production mode a
 * taken port is an error, as there somebody else points at it.
 */
export async function choosePort(environment: NodeJS.ProcessEnv): Promise<{ port: number; note?: string }> {
  const asked = Number(environment.PORT || '3000')
  if (!Number.isInteger(asked) || asked < 0 || asked > 65_535) {
    throw new Error(`PORT must be a number from 0 to 65535, not ${environment.PORT}`)
  }
  if (asked === 0) return { port: await freePort() }
  const host = environment.METERHOUSE_HOST || '127.0.0.1'
  const isFree = async (port: number) => (await isPortFree(port, host)) && (await isPortFree(port, '::1'))
  if (await isFree(asked)) return { port: asked }
  if (environment.METERHOUSE_MODE === 'production') throw new Error(`Port ${asked} is taken: set PORT to another one`)
  for (let port = asked + 1; port <= Math.min(asked + 100, 65_535); port++) {
    if (await isFree(port))
      return { port, note: `Port ${asked} is taken, so this runs on ${port}; PORT chooses another` }
  }
  throw new Error(`Port ${asked} and the hundred after it are taken: set PORT to a free one`)
}

function readPort(file: string): number | undefined {
  try {
    const port = Number(readFileSync(file, 'utf8'))
    return Number.isInteger(port) && port > 0 && port < 65_536 ? port : undefined
  } catch {
    // The first start: nothing is remembered yet.
    return undefined
  }
}

function bind(port: number, host: string): Promise<number | 'taken' | 'unavailable'> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', (error: NodeJS.ErrnoException) => {
      resolve(error.code === 'EADDRNOTAVAIL' || error.code === 'EAFNOSUPPORT' ? 'unavailable' : 'taken')
    })
    server.listen({ port, host, exclusive: true }, () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 'unavailable'))
    })
  })
}
