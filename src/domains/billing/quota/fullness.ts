import type { QuotaState } from '../../events/index.ts'

/** Whether the events of the period are used up. */
export const isFull = ({ used, period }: QuotaState): boolean =>
  period !== null && period.limit !== null && used >= period.limit

/** Whether events are refused or held because of that. */
export const isHoldingBack = (quota: QuotaState): boolean =>
  isFull(quota) && (quota.period?.mode === 'hard' || quota.period?.mode === 'hold')
