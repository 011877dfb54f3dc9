import { BROWSER_MAP, parse } from 'bowser'
import { isbot } from 'isbot'
import { LRUCache } from 'lru-cache'
import { DEVICE_COLUMNS } from './columns.ts'
import { encodePart, type Part } from './part.ts'
import { bounded, type Context, textOf } from './said.ts'

export interface Device {
  browser: string
  browserVersion: string
  os: string
  osVersion: string
  deviceType: string
}

/** What the text of a user agent says. */
export interface AgentReading extends Part<Device> {
  isBotName: boolean
}

/** Longer than the user agents of real devices. What is longer is read up to here, and not cached, so that it cannot fill the cache. */
const AGENT_LENGTH_MAX = 1024
const CACHED_AGENTS = 5000
const NAME_LENGTH_MAX = 64

const agentReading = (value: Device, isBotName: boolean): AgentReading => ({
  ...encodePart(DEVICE_COLUMNS, value),
  isBotName,
})

export const NO_DEVICE = agentReading({ browser: '', browserVersion: '', os: '', osVersion: '', deviceType: '' }, false)

/** Reads user agents. One that was seen before costs a look-up; a new one some tens of microseconds. */
export function createAgentReader() {
  const cache = new LRUCache<string, AgentReading>({ max: CACHED_AGENTS })

  return function readAgent(agent: string): AgentReading {
    if (agent === '') return NO_DEVICE
    if (agent.length > AGENT_LENGTH_MAX) return parseAgent(agent.slice(0, AGENT_LENGTH_MAX))
    const known = cache.get(agent)
    if (known) return known
    const reading = parseAgent(agent)
    cache.set(agent, reading)
    return reading
  }
}

/** Where it knows no browser, bowser takes the first word of the text for one, and that is whatever a sender writes. */
const BROWSERS = new Set<string | undefined>(Object.values(BROWSER_MAP))

function parseAgent(agent: string): AgentReading {
  const { browser: found, os, platform } = parse(agent)
  const browser = BROWSERS.has(found.name) ? found : {}
  const isBotName = isbot(agent) || platform.type === 'bot'
  const device = {
    browser: browser.name ?? '',
    browserVersion: /^\d{1,6}/.exec(browser.version ?? '')?.[0] ?? '',
    os: bounded(os.name ?? '', NAME_LENGTH_MAX),
    // Windows NT 10.0 is Windows 10; elsewhere the number says more than the name does.
    osVersion: shortVersion(os.name === 'Windows' ? (os.versionName ?? '') : (os.version ?? '')),
    deviceType: isBotName ? 'bot' : (platform.type ?? 'other'),
  }
  return agentReading(device, isBotName)
}

/** `10.15.7` is `10.15`: patch levels would make many values out of one version. */
const shortVersion = (version: string) => /^[\w ]{1,32}(?:\.\d{1,6})?/.exec(version)?.[0] ?? ''

const NATIVE_TYPES = new Map([
  ['ios', 'mobile'],
  ['android', 'mobile'],
  ['mobile', 'mobile'],
  ['tablet', 'tablet'],
  ['desktop', 'desktop'],
  ['tv', 'tv'],
])

/** The device as a native app describes it in the context. */
export function readNativeDevice(context: Context): AgentReading {
  const os = textOf(context.os, 'name') || textOf(context, '$os')
  const version = textOf(context.os, 'version') || textOf(context, '$os_version')
  const type = textOf(context.device, 'type') || textOf(context, '$device_type')
  if (os === '' && type === '') return NO_DEVICE
  const device = {
    ...NO_DEVICE.value,
    os: bounded(os, NAME_LENGTH_MAX),
    osVersion: shortVersion(version),
    deviceType: NATIVE_TYPES.get(bounded(type, NAME_LENGTH_MAX).toLowerCase()) ?? 'other',
  }
  return agentReading(device, false)
}
