import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { sql } from 'drizzle-orm'
import type { Test } from 'tap'
import type { Random } from '../../../scripts/clickstream/random.ts'
import { organizations } from '../../../src/domains/organizations/tables.ts'
import { projects } from '../../../src/domains/projects/tables.ts'
import type { Acting } from '../../../src/http/acting.ts'
import { newId } from '../../../src/ids.ts'
import { armFailpoints } from '../../../src/infra/failpoints.ts'
import type { Done, PlanVersion, Receipt } from '../naive-billing/ledger.ts'
import { storeCopies } from '../naive-meter.ts'
import { startTestServices } from '../services.ts'
import { agreedPlan, PUBLIC_PLANS } from './plans.ts'
import { type Billing, openBilling } from './process.ts'
import { COUPONS } from './scenario.ts'

export interface Member {
  organizationId: string
  projectIds: string[]
  agreed: PlanVersion
}

const by: Acting = {
  principal: { kind: 'session', userId: newId('usr'), sessionId: newId('ses'), expiresAtMs: Number.MAX_SAFE_INTEGER },
  ip: '127.0.0.1',
  userAgent: undefined,
}

/** Two processes with one clock, and many organizations. */
export async function startWorld(t: Test) {
  const { config, environment } = await startTestServices(t)
  let now = new Date(0)
  const clock = () => now
  const [one, other] = [openBilling(config, clock), openBilling(config, clock)]
  t.teardown(() => Promise.all([one.close(), other.close()]))

  return {
    one,
    now: () => now,
    moveTo: (ms: number) => {
      now = new Date(ms)
    },

    /** Adds a version of a public plan and offers it. */
    async publish(planKey: string, place: number): Promise<PlanVersion> {
      const version = PUBLIC_PLANS[planKey]?.[place]
      if (!version) throw new Error(`there is no plan ${planKey}`)
      const { version: number } = await one.catalog.createPlanVersion({ planKey, ...version }, newId('usr'))
      await one.catalog.offerPlan(planKey, true)
      return { key: planKey, version: number, isCustom: false, terms: version.terms }
    },

    async makeCoupons(): Promise<void> {
      for (const [code, { coupon, currency }] of Object.entries(COUPONS)) {
        const { kind, duration: lasts } = coupon
        const duration = lasts.kind === 'periods' ? { ...lasts, periods: Number(lasts.periods) } : lasts
        const terms =
          kind === 'percent'
            ? { kind, basisPoints: Number(coupon.basisPoints), duration }
            : { kind, amount: String(coupon.amount), currency: currency ?? 'USD', duration }
        await one.coupons.create({ code, terms }, newId('usr'))
      }
    },

    /** An organization without a subscription yet, with meters and a plan of its own. */
    async join(n: number, timeZone: string): Promise<Member> {
      const organizationId = newId('org')
      const projectIds = [newId('prj'), newId('prj')]
      await one.postgres.withSystem(async (tx) => {
        await tx.insert(organizations).values({ id: organizationId, name: `Organization ${n}` })
        for (const id of projectIds) await tx.insert(projects).values({ id, organizationId, name: 'Project' })
        await tx.execute(
          sql`insert into billing_accounts (organization_id, time_zone) values (${organizationId}, ${timeZone})`,
        )
      })
      await one.meters.createMeter(organizationId, { ...SEATS, key: 'seats' }, by)
      await one.meters.createMeter(organizationId, { ...CALLS, key: 'calls' }, by)
      const terms = agreedPlan(n)
      await one.catalog.createCustomPlanVersion(organizationId, { planKey: 'enterprise', baseVersion: 0, terms }, by)
      return { organizationId, projectIds, agreed: { key: 'enterprise', version: 1, isCustom: true, terms } }
    },

    /** Does what somebody did. Gives whether the program let them. */
    async act({ organizationId }: Member, { atMs, act }: Done): Promise<boolean> {
      now = new Date(atMs)
      return perform(one, organizationId, act).then(
        () => true,
        (error) => {
          if (error.status === 409 || error.status === 422) return false
          throw error
        },
      )
    },

    async receive(received: readonly { member: Member; receipt: Receipt }[]): Promise<void> {
      await storeCopies(
        one,
        received.map(({ member, receipt }) => ({
          organizationId: member.organizationId,
          projectId: receipt.projectId,
          event: receipt.event,
          messageId: receipt.messageId,
          timestampMs: receipt.timestampMs,
          receivedMs: receipt.receivedAtMs,
          properties: JSON.stringify(receipt.seats > 0n ? { seats: Number(receipt.seats) } : {}),
        })),
      )
    },

    /** One process fails somewhere in its work, and leaves the rest to others. */
    async fail(random: Random): Promise<void> {
      armFailpoints(`${random.pick(PLACES)}=error@${random.between(1, 3)}`, () => {})
      try {
        await one.work()
      } catch (error) {
        if (!messagesOf(error).some((message) => message.startsWith('failpoint '))) throw error
      } finally {
        armFailpoints('', () => {})
      }
    },

    /** The same in a process of its own, which is killed there. Gives whether it came to that. */
    async kill(random: Random): Promise<boolean> {
      const failpoints = `${random.pick(PLACES)}=kill@${random.between(1, 3)}`
      const env = {
        ...process.env,
        ...environment,
        TEST_SIMULATION_NOW: String(now.getTime()),
        TEST_SIMULATION_FAILPOINTS: failpoints,
      }
      const file = new URL('./victim.ts', import.meta.url).pathname
      const child = spawn(process.execPath, [file], { env, stdio: ['ignore', 'ignore', 'inherit'] })
      const [code, signal] = await once(child, 'exit')
      if (signal !== 'SIGKILL' && code !== 0) throw new Error(`the victim ended with ${code}`)
      return signal === 'SIGKILL'
    },

    /** Both processes do everything that is due, at the same time. */
    work: () => Promise.all([one.work(), other.work()]),
  }
}
export type World = Awaited<ReturnType<typeof startWorld>>

const PLACES = ['subscriptions.ended', 'subscriptions.rolled', 'invoices.measured', 'invoices.finalizing'] as const
const SEATS = { name: 'Seats', aggregation: 'sum' as const, property: 'properties.seats', events: ['Seat added'] }
const CALLS = { name: 'Calls', aggregation: 'count' as const, events: ['API called'] }

function perform(billing: Billing, organizationId: string, act: Done['act']): Promise<unknown> {
  const { changes, coupons, invoices, postgres, subscriptions } = billing
  switch (act.kind) {
    case 'open':
      return subscriptions.current(organizationId)
    case 'changePlan': {
      const { key: planKey, isCustom } = act.plan
      if (isCustom) return changes.assignPlan(organizationId, { planKey, isCustom }, by, 'agreed')
      return changes.changePlan(organizationId, planKey, by)
    }
    case 'withdrawChange':
      return changes.withdraw(organizationId, by)
    case 'redeem':
      return coupons.redeem(organizationId, act.code, by)
    case 'tax':
      return postgres.withSystem((tx) =>
        tx.execute(
          sql`update billing_accounts set tax_basis_points = ${Number(act.basisPoints)} where organization_id = ${organizationId}`,
        ),
      )
    case 'credit': {
      const { amount } = act
      return invoices.addCredit({ organizationId, amount, currency: 'USD', reason: 'a gift' }, by)
    }
    default:
      return changes[act.kind](organizationId, by)
  }
}

/** What was thrown, and everything that it is made of. */
function messagesOf(error: unknown): string[] {
  if (!(error instanceof Error)) return []
  const parts = error instanceof AggregateError ? error.errors : []
  return [error.message, ...[error.cause, ...parts].flatMap(messagesOf)]
}
