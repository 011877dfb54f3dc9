import { BROWSER_MAP, parse } from 'bowser'

/** Where a sign-in comes from. */
export interface Device {
  ip: string
  userAgent: string | undefined
}

/** Where it knows no browser, bowser takes the first word of the text for one, and that is whatever a sender writes. */
const BROWSERS = new Set<string | undefined>(Object.values(BROWSER_MAP))

/** What a person calls a device, as `Firefox on Linux`; null where the user agent names no browser and no system. */
export function deviceName(userAgent: string | null): string | null {
  if (!userAgent) return null
  const { browser, os } = parse(userAgent)
  const names = [BROWSERS.has(browser.name) ? browser.name : undefined, os.name]
  return names.filter((name) => name).join(' on ') || null
}
