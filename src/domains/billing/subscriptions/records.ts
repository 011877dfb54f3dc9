import type { PlanReference } from './plan-reference.ts'

export interface Subscription extends PlanReference {
  organizationId: string
  id: string
  status: 'trialing' | 'active' | 'paused' | 'canceled'
  provider: 'manual' | 'stripe'
  stripeSubscriptionId: string | null
  timeZone: string
  anchor: Date
  pending: { planKey: string; version: number; isCustom: boolean } | null
  cancelAtPeriodEnd: boolean
  trialEndsAt: Date | null
  pausedAt: Date | null
  canceledAt: Date | null
  startedAt: Date
  revision: number
}

export interface Period extends PlanReference {
  organizationId: string
  id: string
  subscriptionId: string
  number: number
  startsAt: Date
  endsAt: Date
  usageFrom: Date
  usageTo: Date
  isTrial: boolean
  status: 'open' | 'ended' | 'invoiced'
}

export interface Phase extends PlanReference {
  organizationId: string
  subscriptionId: string
  number: number
  startsAt: Date
  kind: 'trial' | 'paid' | 'paused'
}

export interface Charge extends PlanReference {
  organizationId: string
  id: string
  subscriptionId: string
  periodId: string
  kind: 'base' | 'proration_charge' | 'proration_credit' | 'one_time' | 'credit'
  description: string
  amount: bigint
  currency: string
  fromAt: Date
  toAt: Date
  due: 'now' | 'period_end'
  createdAt: Date
}
