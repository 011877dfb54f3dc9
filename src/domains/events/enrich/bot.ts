import { type Context, isObject } from './said.ts'

/**
 * - `userAgent`: the text names a robot or a program (the list of `isbot`).
 * - `automation`: the page's own script found itself steered: `navigator.webdriver`, a headless brand among the client hints.
 * - `headers`: the request does not carry what the browser that it names would send.
 *
 * The last two do not look for a robot's name, so a robot that borrows a browser's user agent is seen by them alone. One signal is
 * enough for the flag; events are only marked, and whoever wants two can ask for `+` in the signals.
 */
export type BotSignal = 'userAgent' | 'automation' | 'headers'

export function botSignals(found: Record<BotSignal, boolean>): string {
  // Nearly every event has none.
  if (!found.userAgent && !found.automation && !found.headers) return ''
  return (['userAgent', 'automation', 'headers'] as const).filter((signal) => found[signal]).join('+')
}

export function saysAutomation(context: Context): boolean {
  if (context.webdriver === true || context.$browser_type === 'bot') return true
  const { userAgentData } = context
  if (!isObject(userAgentData) || !Array.isArray(userAgentData.brands)) return false
  return userAgentData.brands
    .slice(0, 10)
    .some((entry) => isObject(entry) && typeof entry.brand === 'string' && entry.brand.startsWith('Headless'))
}
