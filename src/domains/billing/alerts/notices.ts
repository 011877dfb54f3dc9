import { formatMoney } from '../money/money.ts'
import type { Outlook } from '../outlook/outlook.ts'
import type { Crossing } from './thresholds.ts'

/** What the owners of an organization are told of its usage. */
interface Notice {
  subject: string
  paragraphs: string[]
}

const AT_LIMIT: Record<Outlook['mode'], string> = {
  hard: 'Beyond them events are refused until the next period begins or the plan allows more.',
  soft: 'Beyond them events are taken and billed as the plan says.',
  hold: 'Beyond them events are kept back, and taken in when the next period begins or the plan allows more.',
  sample: 'Beyond them one event in ten is taken; the others are left out.',
}

export function noticeOf(crossing: Crossing, outlook: Outlook): Notice {
  const { kind, meterKey, threshold, value, whole } = crossing
  const { period, mode } = outlook
  const meter = outlook.meters.find((one) => one.meter === meterKey)
  const until = `The period ends on ${minuteOf(period.endsAt)}.`
  const { currency } = period.plan
  if (kind === 'spend')
    return {
      subject: `Your next invoice has passed ${formatMoney({ amount: threshold, currency })}`,
      paragraphs: [`as of now it comes to ${formatMoney({ amount: value, currency })} before tax.`, until],
    }
  const unit = meterKey === 'events' ? 'events' : `of ${meterKey}`
  if (kind === 'quantity')
    return {
      subject: `You have used ${threshold} ${unit}`,
      paragraphs: [`your organization has used ${value} ${unit} in its billing period.`, until],
    }
  const isLimit = meter?.whole?.kind === 'limit'
  const all = `${whole} ${unit} that its plan ${isLimit ? 'allows' : 'includes'}`
  const consequence = isLimit ? AT_LIMIT[mode] : 'What is used beyond them is billed as the plan says.'
  if (kind === 'percent')
    return {
      subject: `You have used ${threshold} % of your ${meterKey}`,
      paragraphs: [`your organization has used ${value} of the ${all} in a billing period.`, consequence, until],
    }
  const when = meter?.reachesAt ? ` They are expected to be used up on ${minuteOf(meter.reachesAt)}.` : ''
  return {
    subject: `Your ${meterKey} may not last until the end of the period`,
    paragraphs: [
      `as things go, your organization will use ${value} in its billing period, of the ${all}.${when}`,
      consequence,
      until,
    ],
  }
}

const minuteOf = (time: Date) => `${time.toISOString().slice(0, 16).replace('T', ' at ')} UTC`
