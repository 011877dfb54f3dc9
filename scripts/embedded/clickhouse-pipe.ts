import { execFileSync } from 'node:child_process'
import { closeSync, constants, openSync } from 'node:fs'
import { Socket } from 'node:net'
import { join } from 'node:path'
import type { Readable } from 'node:stream'

export interface ResultPipe {
  /** What a statement names after INTO OUTFILE. */
  path: string
  /** Call before the statement starts. `output` ends after `finish`, when everything written has been read. */
  open(): { output: Readable; finish(): void }
}

/**
 * Named pipes that carry results out of the engine: the engine writes a result as to a file, in any format and byte for
 * byte, and waits when the reader is slow, so that no result is ever whole in memory.
 */
export function makeResultPipes(directory: string, count: number): ResultPipe[] {
  const paths = Array.from({ length: count }, (_, i) => join(directory, `result-${i}`))
  execFileSync('mkfifo', ['-m', '600', ...paths])
  return paths.map((path) => ({ path, open: () => openPipe(path) }))
}

function openPipe(path: string) {
  const { O_NONBLOCK, O_RDONLY, O_WRONLY } = constants
  const reader = openSync(path, O_RDONLY | O_NONBLOCK)
  // A pipe without a writer reads as ended, so this end stays open until the statement is over.
  const writer = openSync(path, O_WRONLY | O_NONBLOCK)
  const output = new Socket({ fd: reader, readable: true, writable: false })
  return { output, finish: () => closeSync(writer) }
}
