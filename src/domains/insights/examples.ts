/** Examples of the documentation. A test holds them against the schemas. */

const meta = { elapsedMs: 12.5, rowsRead: 48_213, cached: false, completeThrough: '2026-10-01T08:15:30.250Z' }

export const TREND_QUERY = {
  kind: 'trend',
  from: '2026-09-01T00:00:00Z',
  to: '2026-09-03T00:00:00Z',
  interval: 'day',
  timeZone: 'Europe/Berlin',
  compare: 'previous',
  series: [
    {
      event: 'Order Completed',
      math: 'sum',
      property: 'total',
      filters: [{ field: 'properties.currency', operator: 'eq', value: 'EUR' }],
    },
  ],
  breakdown: ['geo.country'],
}

export const TREND_ANSWER = {
  data: [
    {
      series: 0,
      breakdown: { 'geo.country': 'DE' },
      total: 149.7,
      points: [
        { time: '2026-08-31T22:00:00.000Z', value: 99.8 },
        { time: '2026-09-01T22:00:00.000Z', value: 49.9 },
      ],
      previous: [
        { time: '2026-08-28T22:00:00.000Z', value: 0 },
        { time: '2026-08-29T22:00:00.000Z', value: 19.9 },
      ],
      previousTotal: 19.9,
    },
  ],
  groups: [{ series: 0, shown: 1, total: 1 }],
  meta,
}

export const USAGE_ANSWER = {
  data: [
    { time: '2026-09-01T00:00:00.000Z', events: 1204, billable: 1204 },
    { time: '2026-09-02T00:00:00.000Z', events: 986, billable: 986 },
  ],
  total: { events: 2190, billable: 2190 },
  completeThrough: meta.completeThrough,
  meta,
}

export const EVENTS_ANSWER = {
  data: [
    {
      messageId: '0193b0c2-7d1e-7aaa-8000-3f2c6c1d9e55',
      event: 'Order Completed',
      type: 'track',
      userId: 'user-17',
      anonymousId: 'anon-4711',
      groupId: null,
      timestamp: '2026-09-12T10:15:30.250Z',
      receivedAt: '2026-09-12T10:15:30.412Z',
      sentAt: '2026-09-12T10:15:30.380Z',
      clockSkewMs: 0,
      ip: '91.12.34.0',
      geo: { country: 'DE', region: 'Hamburg', city: 'Hamburg' },
      device: { type: 'desktop', browser: 'Chrome', browserVersion: '126', os: 'Windows', osVersion: '10' },
      source: {
        channel: 'email',
        referrerDomain: null,
        utmSource: 'newsletter',
        utmMedium: 'email',
        utmCampaign: 'autumn',
        utmTerm: null,
        utmContent: null,
      },
      isBot: false,
      botSignals: null,
      properties: { total: 49.9, currency: 'EUR' },
      traits: {},
      context: { page: { url: 'https://shop.example/?utm_source=newsletter&utm_medium=email&utm_campaign=autumn' } },
    },
  ],
  nextCursor: null,
  meta,
}

export const EVENT_NAMES_ANSWER = {
  data: [
    {
      event: 'Order Completed',
      count: 2190,
      firstSeen: '2026-09-01T00:03:11.000Z',
      lastSeen: '2026-10-01T08:15:29.871Z',
    },
  ],
  meta,
}

export const PROPERTIES_ANSWER = {
  data: [{ field: 'properties.total', count: 1998, types: [{ type: 'number', count: 1998 }] }],
  sampled: 2000,
  meta,
}

export const VALUES_ANSWER = { data: [{ value: 'EUR', count: 1702 }], meta }
