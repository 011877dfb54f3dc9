import t from 'tap'
import { laneOf } from '../../src/domains/events/protocols/lane.ts'

t.test('what a client calls history goes to the lane of imports, and nothing else does', async (t) => {
  t.equal(laneOf('/v1/import', { batch: [] }), 'import')
  for (const url of ['/v1/batch', '/batch/', '/i/v1/analytics/events']) {
    t.equal(laneOf(url, { historical_migration: true }), 'import')
    t.equal(laneOf(url, { historicalMigration: true }), 'import')
    for (const body of [{}, { historical_migration: false }, { historicalMigration: 'true' }, [], null, 'text'])
      t.equal(laneOf(url, body), 'live')
  }
})
