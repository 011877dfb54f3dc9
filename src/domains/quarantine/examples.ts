/** Answers as the OpenAPI document shows them. */
const MISTYPED = { path: '/properties/total', keyword: 'type', message: 'must be number' }

export const MAPPING = {
  remove: ['/properties/debug'],
  rename: { '/properties/amount': '/properties/total' },
  cast: { '/properties/total': 'number' },
  set: { '/properties/currency': 'EUR' },
}

export const ITEM_PAGE = {
  data: [
    {
      messageId: 'order-1001',
      event: 'Order Completed',
      receivedAt: '2026-01-31T12:00:00.000Z',
      reason: 'plan.violation',
      violations: [MISTYPED],
      planVersion: 3,
      status: 'open',
      changedAt: '2026-01-31T12:00:00.000Z',
      changedBy: 'door',
      payload: { event: 'Order Completed', messageId: 'order-1001', properties: { total: '49.90' } },
    },
  ],
  nextCursor: null,
}

export const SUMMARY = {
  data: [
    {
      reason: 'plan.violation',
      event: 'Order Completed',
      status: 'open',
      count: 17,
      firstReceivedAt: '2026-01-31T11:58:02.113Z',
      lastReceivedAt: '2026-01-31T12:00:00.000Z',
    },
  ],
  total: 17,
}

export const REPLAY_ANSWER = {
  dryRun: true,
  matched: 2,
  passing: 1,
  failing: 1,
  replayed: 0,
  duplicates: 0,
  results: [
    { messageId: 'order-1002', outcome: 'failing', violations: [MISTYPED] },
    {
      messageId: 'order-1001',
      outcome: 'passing',
      event: { event: 'Order Completed', messageId: 'order-1001', properties: { total: 49.9 } },
    },
  ],
  nextCursor: null,
}

export const DISCARD_ANSWER = { discarded: 17, nextCursor: null }
