/** Below this a difference is the way through the network, or a `sentAt` that a client repeats on a quick retry. */
const SKEW_MS_MIN = 60_000
/** Above this `sentAt` is not a clock that is wrong but a value that is. Reads rely on it: they widen the days by one on each side. */
export const SKEW_MS_MAX = 86_400_000

/**
 * How far the sender's clock is ahead of ours, negative when it is behind; 0 when that is not known or too small or too large to act
 * on. The stored `timestamp` stays the sender's own, as it is part of the event's identity and a retry has another `sentAt`; reads
 * subtract the skew. It does not apply to an event that got its time from our clock.
 */
export function clockSkewMs(sentAtMs: number | undefined, receivedAtMs: number): number {
  if (sentAtMs === undefined) return 0
  const skewMs = sentAtMs - receivedAtMs
  const size = Math.abs(skewMs)
  return size > SKEW_MS_MIN && size <= SKEW_MS_MAX ? skewMs : 0
}
