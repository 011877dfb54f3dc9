import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

const TICK_MICROS = 1e6 / Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }))
const SAMPLE_INTERVAL_MS = 200

/** CPU that a process has used, user and system, in microseconds; to one tick of the kernel, as a rule 10 ms. */
export function cpuMicros(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? []
  return (Number(fields[11]) + Number(fields[12])) * TICK_MICROS
}

function residentMb(pid: number): number {
  return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024
}

/** Watches processes from now on; `stop` says what each used: CPU microseconds, and the most memory in MB. */
export function watchProcesses<Name extends string>(pids: Record<Name, number>) {
  const names = Object.keys(pids) as Name[]
  const before = new Map(names.map((name) => [name, cpuMicros(pids[name])]))
  const memory = new Map(names.map((name) => [name, residentMb(pids[name])]))
  const timer = setInterval(() => {
    for (const name of names) memory.set(name, Math.max(memory.get(name) ?? 0, residentMb(pids[name])))
  }, SAMPLE_INTERVAL_MS)
  return {
    stop() {
      clearInterval(timer)
      const used = names.map((name) => [name, cpuMicros(pids[name]) - (before.get(name) ?? 0)] as const)
      return {
        cpuMicros: Object.fromEntries(used) as Record<Name, number>,
        rssMaxMb: Object.fromEntries(memory) as Record<Name, number>,
      }
    },
  }
}
