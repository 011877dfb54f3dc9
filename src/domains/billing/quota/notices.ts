import type { QuotaMode } from '../../events/index.ts'

/** What the owners of an organization are told of its quota. */
interface Notice {
  subject: string
  paragraphs: string[]
}

const CONSEQUENCES: Record<QuotaMode, string> = {
  hard: 'Further events are refused until the next period begins or the plan allows more.',
  soft: 'Further events are taken and billed as the plan says.',
  hold: 'Further events are kept back. They are taken in as soon as the next period begins or the plan allows more.',
  sample: 'Of further events one in ten is taken; the others are left out.',
}

interface Reached {
  limit: number
  mode: QuotaMode
  endsAt: Date
}

export const reachedNotice = ({ limit, mode, endsAt }: Reached): Notice => ({
  subject: 'The events of your billing period are used up',
  paragraphs: [
    `your organization has used all ${limit} events of its billing period, which ends on ${endsAt.toISOString().slice(0, 16).replace('T', ' at ')} UTC.`,
    CONSEQUENCES[mode],
  ],
})

export const resumedNotice = (): Notice => ({
  subject: 'Events are taken again',
  paragraphs: ['your organization has room for events again. What was kept back is being taken in, oldest first.'],
})
