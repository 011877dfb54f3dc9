import type { ByteString } from './row.ts'

/** An event that is ready to be admitted. */
export interface CapturedEvent {
  messageId: string
  /** Whether the id comes from the client or is derived from something that a retry repeats. */
  retryStable: boolean
  /** Epoch milliseconds of when it happened, a wrong clock corrected. */
  occurredAtMs: number
  /** The row that ClickHouse will hold. */
  row: ByteString
  /** Where in the row the bytes of the messageId stand. */
  idPlace: { start: number; end: number }
  /** How many of the row's first bytes a copy of the event repeats: what the sender said. */
  contentBytes: number
}
