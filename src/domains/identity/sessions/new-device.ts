import { networkOf } from '../../../http/failed-authentications.ts'
import { type Device, deviceName } from '../device.ts'

const DAY_MS = 24 * 3_600_000

type Origin = { ip: string | null; userAgent: string | null }

/**
 * Whether a person has never signed in with this kind of device from this network. Where nothing is known of them any more everything
 * is new, but for the first sign-in of a new account.
 */
export function isNewDevice(device: Device, known: readonly Origin[], accountMadeAt: Date | undefined): boolean {
  if (known.length === 0) return accountMadeAt !== undefined && accountMadeAt.getTime() < Date.now() - DAY_MS
  const own = originOf({ ip: device.ip, userAgent: device.userAgent ?? null })
  return !known.some((origin) => originOf(origin) === own)
}

const originOf = ({ ip, userAgent }: Origin) => `${ip === null ? '' : networkOf(ip)} ${deviceName(userAgent) ?? ''}`
