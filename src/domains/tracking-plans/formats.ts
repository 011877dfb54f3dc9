import { isIPv4, isIPv6 } from 'node:net'

const LENGTH_MAX = 2048
const DAYS = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
const TIME = /^([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d{1,9})?(z|[+-]([01]\d|2[0-3]):[0-5]\d)$/i
const DATE = /^(\d{4})-(\d{2})-(\d{2})$/
const UUID = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/i
const LOCAL_PART = /^[\w!#$%&'*+/=?^`{|}~-]+$/
const LABEL = /^[a-z0-9-]{1,63}$/i

function isDate(text: string): boolean {
  const [, year, month, day] = DATE.exec(text) ?? []
  if (!year) return false
  const leap = Number(year) % 4 === 0 && (Number(year) % 100 !== 0 || Number(year) % 400 === 0)
  const days = Number(month) === 2 && !leap ? 28 : (DAYS[Number(month) - 1] ?? 0)
  return Number(day) >= 1 && Number(day) <= days
}

const isTime = (text: string) => TIME.test(text)

function isEmail(text: string): boolean {
  const at = text.lastIndexOf('@')
  if (at < 1 || at > 64) return false
  const isLocal = text
    .slice(0, at)
    .split('.')
    .every((part) => LOCAL_PART.test(part))
  return isLocal && isHostname(text.slice(at + 1)) && text.indexOf('.', at) > 0
}

function isHostname(text: string): boolean {
  if (text.length > 253) return false
  return text.split('.').every((label) => LABEL.test(label) && !label.startsWith('-') && !label.endsWith('-'))
}

/** The formats that plans know. Each looks at a text once and forward, and no text that is longer than any of them is looked at. */
export const FORMATS: Record<string, (text: string) => boolean> = {
  'date-time': (text) => isDate(text.slice(0, 10)) && /^[t ]$/i.test(text.charAt(10)) && isTime(text.slice(11)),
  date: isDate,
  time: isTime,
  email: isEmail,
  hostname: isHostname,
  ipv4: isIPv4,
  ipv6: isIPv6,
  uri: (text) => /^[a-z][a-z0-9+.-]*:/i.test(text) && !/[\s<>"{}|\\^`]/.test(text) && URL.canParse(text),
  uuid: (text) => UUID.test(text),
}

export function hasFormat(format: string, text: string): boolean {
  return text.length <= LENGTH_MAX && FORMATS[format]?.(text) === true
}
