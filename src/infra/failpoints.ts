import { writeSync } from 'node:fs'

/**
 * Named places in the code where a fault rig may make the process die, sleep or fail. Each stands between two steps whose order
 * a guarantee rests on. A call costs an empty function until `armFailpoints` is given something.
 */
export const FAILPOINTS = [
  'sink.gathered',
  'sink.sealed',
  'sink.stored',
  'sink.released',
  'deposit.sending',
  'deposit.doubting',
  'lease.acquired',
  'usage.counted',
  'usage.written',
  'invoices.measured',
  'invoices.finalizing',
  'subscriptions.ended',
  'subscriptions.rolled',
  'stripe.usage-attempted',
  'stripe.usage-delivered',
] as const
export type Failpoint = (typeof FAILPOINTS)[number]

interface Trap {
  /** Passages until it acts; it acts once. */
  left: number
  act: () => void
}

/** Sends this process a signal. */
type SendSignal = (name: 'SIGKILL' | 'SIGSTOP') => void

const off = (_name: Failpoint): void => {}

/** Passes a named place. Throws only where `error` was asked for. */
export let failpoint: (name: Failpoint) => void = off

/**
 * Arms what the text names: `name=action[@N]`, comma-separated, where N is the passage that acts (default: the first). Actions:
 * `kill` (SIGKILL), `kill:MS` (that much later, so that what was just sent is on its way), `stop` (SIGSTOP), `error`, and
 * `delay:MS`, which stops the whole process as a pause of its machine would. An empty text disarms. Throws on an unknown name.
 */
export function armFailpoints(text: string, signal: SendSignal): void {
  const traps = new Map<string, Trap>()
  for (const part of text.split(',').filter((one) => one !== '')) {
    const [, name = '', action = '', ms = '0', passage = '1'] =
      part.match(/^([a-z.-]+)=(kill|stop|error|delay)(?::(\d+))?(?:@(\d+))?$/) ?? []
    if (!FAILPOINTS.some((known) => known === name)) {
      throw new Error(`METERHOUSE_FAILPOINTS: "${part}" is not name=action with one of ${FAILPOINTS.join(', ')}`)
    }
    traps.set(name, { left: Number(passage), act: () => act(name, action, Number(ms), signal) })
  }
  failpoint = traps.size === 0 ? off : (name) => pass(traps.get(name))
}

function pass(trap: Trap | undefined): void {
  if (!trap || --trap.left !== 0) return
  trap.act()
}

function act(name: string, action: string, ms: number, signal: SendSignal): void {
  // Written at once and not through the log: the process may be gone in the next microsecond.
  writeSync(2, `failpoint ${name}: ${action}\n`)
  if (action === 'error') throw new Error(`failpoint ${name}`)
  if (action === 'delay') Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
  else if (action === 'kill' && ms > 0) setTimeout(() => signal('SIGKILL'), ms)
  else signal(action === 'stop' ? 'SIGSTOP' : 'SIGKILL')
}
