import { BOT_COLUMNS } from './columns.ts'
import { encodePart, type Part } from './part.ts'
import { type Context, isObject } from './said.ts'

/**
 * - `userAgent`: the text names a robot or a program (the list of `isbot`).
 * - `automation`: the page's own script found itself steered: `navigator.webdriver`, a headless brand among the client hints.
 * - `headers`: the request does not carry what the browser that it names would send.
 *
 * The last two do not look for a robot's name, so a robot that borrows a browser's user agent is seen by them alone. One signal is
 * enough for the flag; events are only marked, and whoever wants two can ask for `+` in the signals.
 */
const SIGNALS = ['userAgent', 'automation', 'headers'] as const

export type BotSignal = (typeof SIGNALS)[number]

export interface BotReading {
  isBot: boolean
  botSignals: string
}

/** Every set of signals, ready, by the bits of its members. */
const READINGS = Array.from({ length: 2 ** SIGNALS.length }, (_, bits): Part<BotReading> => {
  const found = SIGNALS.filter((_, index) => bits & (1 << index))
  return encodePart(BOT_COLUMNS, { isBot: bits > 0, botSignals: found.join('+') })
})

export function readBot(found: Record<BotSignal, boolean>): Part<BotReading> {
  const bits = SIGNALS.reduce((sum, signal, index) => (found[signal] ? sum + (1 << index) : sum), 0)
  return READINGS[bits] as Part<BotReading>
}

export function saysAutomation(context: Context): boolean {
  if (context.webdriver === true || context.$browser_type === 'bot') return true
  const { userAgentData } = context
  if (!isObject(userAgentData) || !Array.isArray(userAgentData.brands)) return false
  return userAgentData.brands
    .slice(0, 10)
    .some((entry) => isObject(entry) && typeof entry.brand === 'string' && entry.brand.startsWith('Headless'))
}
