import { BACKDATED_MS } from './batch.ts'
import type { Organization } from './organizations.ts'
import type { Stack } from './stack.ts'

const RANGE_MS = BACKDATED_MS + 20 * 86_400_000
const EXPLORER_PAGES = 10
const EXPLORER_LIMIT = 200
const RECEIPTS = 20
const TRIES_MAX = 20

/** What a customer would see: usage, the trend that it has to equal, a stretch of the explorer, and receipts. */
export async function askApi({ apis }: Stack, organization: Organization, stored: ReadonlySet<string>) {
  const base = `${apis[0]?.slot.url}/v1/projects/${organization.projectId}`
  const headers = { authorization: `Bearer ${organization.apiKey}`, 'content-type': 'application/json' }
  const [from, to] = [Date.now() - RANGE_MS, Date.now() + 60_000]
  const faults: string[] = []

  const usage = await ask<{ total: { events: number } }>(`${base}/usage?from=${from}&to=${to}&interval=day`, {
    headers,
  })
  const query = { kind: 'trend', from, to, interval: 'day', series: [{ math: 'count' }] }
  const trend = await ask<{ data: { total: number }[] }>(`${base}/query`, {
    method: 'POST',
    headers,
    body: JSON.stringify(query),
  })

  const shown: string[] = []
  let cursor: string | null = ''
  for (let page = 0; page < EXPLORER_PAGES && cursor !== null; page++) {
    const suffix: string = cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`
    const answer: { data: { messageId: string }[]; nextCursor: string | null } | undefined = await ask(
      `${base}/events?limit=${EXPLORER_LIMIT}${suffix}`,
      { headers },
    )
    if (!answer) break
    shown.push(...answer.data.map((event) => event.messageId))
    cursor = answer.nextCursor
  }
  const twice = shown.length - new Set(shown).size
  const unknown = shown.filter((id) => !stored.has(id)).length
  if (twice > 0) faults.push(`the explorer shows ${twice} events twice`)
  if (unknown > 0) faults.push(`the explorer shows ${unknown} events that are not stored`)
  if (shown.length < Math.min(stored.size, EXPLORER_PAGES * EXPLORER_LIMIT))
    faults.push(`the explorer shows ${shown.length} events of ${stored.size}`)

  for (const id of [...stored].slice(0, RECEIPTS)) {
    const receipt = await ask<{ status: string }>(`${apis[0]?.slot.url}/v1/events/${id}/receipt`, { headers })
    // A version without receipts has nothing to say here.
    if (!receipt) break
    if (receipt.status !== 'stored') faults.push(`the receipt of ${id} says ${receipt.status}`)
  }
  return { usage: usage?.total.events ?? 0, trend: trend?.data[0]?.total ?? 0, faults }
}

/** The answer, after asking again while the server is still coming back; undefined on 404. */
async function ask<T>(url: string, init: RequestInit): Promise<T | undefined> {
  for (let tries = 1; ; tries++) {
    const answer = await fetch(url, init).catch(() => undefined)
    if (answer?.ok) return (await answer.json()) as T
    const text = await answer?.text()
    if (answer?.status === 404) return undefined
    if (tries === TRIES_MAX || (answer && answer.status < 500)) {
      throw new Error(`${new URL(url).pathname} answers ${answer?.status ?? 'nothing'}: ${text ?? ''}`)
    }
    await new Promise((resolve) => setTimeout(resolve, 500))
  }
}
