import { readFileSync } from 'node:fs'
import { startFront } from './front.ts'
import type { Probe } from './run.ts'

const EVENTS = readFileSync(new URL('../../clickhouse/0001_events.sql', import.meta.url), 'utf8')
const COPIES = ['10:00:03', '10:00:01', '10:00:02']

export const p5: Probe = {
  name: 'P5',
  question: 'Does FINAL show each event once, the copy that was received first, before and after merges?',
  async run(directory) {
    const front = await startFront(directory)
    await front.client.command({ query: EVENTS })
    for (const time of COPIES) {
      const row = {
        organization_id: 'o',
        project_id: 'p',
        event: 'e',
        message_id: 'm',
        timestamp: '2026-02-03 10:00:00',
      }
      const values = [{ ...row, received_at: `2026-02-03 ${time}`, properties: JSON.stringify({ time }) }]
      await front.client.insert({ table: 'events', values, format: 'JSONEachRow' })
    }
    const read = async (final: string) => {
      const query = `SELECT properties FROM events ${final} ORDER BY properties`
      const result = await front.client.query({ query, format: 'JSONEachRow' })
      return (await result.json<{ properties: string }>()).map(
        ({ properties }) => JSON.parse(properties).time as string,
      )
    }
    const [before, written] = [await read('FINAL'), await read('')]
    await front.client.command({ query: 'OPTIMIZE TABLE events FINAL' })
    const merged = await read('')
    await front.kill()
    return {
      saw: `copies received at ${COPIES.join(', ')} and stored in this order: FINAL shows ${before}; a merge leaves ${merged}; ${written.length} rows before it`,
      holds: [...before, ...merged].join() === '10:00:01,10:00:01',
    }
  },
}
