import { networkOf } from '../../../http/failed-authentications.ts'
import type { SystemTx } from '../../../infra/postgres.ts'
import { type Device, deviceName } from '../device.ts'
import { findUser } from '../store.ts'
import { listOrigins } from './store.ts'

const DAY_MS = 24 * 3_600_000

/**
 * Whether a person has never signed in with this kind of device from this network. Where nothing is known of them any more everything
 * is new, but for the first sign-in of a new account.
 */
export async function isNewDevice(tx: SystemTx, userId: string, device: Device): Promise<boolean> {
  const origins = await listOrigins(tx, userId)
  if (origins.length === 0) {
    const createdAt = (await findUser(tx, userId))?.createdAt
    return createdAt !== undefined && createdAt.getTime() < Date.now() - DAY_MS
  }
  const own = originOf(device.ip, device.userAgent ?? null)
  return !origins.some(({ ip, userAgent }) => originOf(ip, userAgent) === own)
}

const originOf = (ip: string | null, userAgent: string | null) =>
  `${ip === null ? '' : networkOf(ip)} ${deviceName(userAgent) ?? ''}`
