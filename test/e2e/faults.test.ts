import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { CRASH_POINTS } from '../../scripts/faults/points.ts'

const RIG = fileURLToPath(new URL('../../scripts/faults/run.ts', import.meta.url))

interface Report {
  figures: Record<string, number>
  acknowledged: number
  kills: number
  recoveries: { point: string; landed: number }[]
  windows: { thenDuplicate: number; probes: number; poisonedTokens: number; fenced: number }
  resends: number
  sends: number
}

t.setTimeout(420_000)

t.test('through every crash point nothing acknowledged is lost, doubled or billed twice', async (t) => {
  const data = t.testdir()
  const rig = spawn(process.execPath, [RIG, '--campaign', 'short', '--seed', '7'], {
    env: { ...process.env, METERHOUSE_DATA: data },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.teardown(() => rig.kill('SIGTERM'))
  rig.stdout.on('data', (chunk: Buffer) => t.comment(chunk.toString()))
  const [code] = await once(rig, 'exit')
  t.equal(code, 0, 'the rig calls it green')

  const report = JSON.parse(readFileSync(join(data, 'faults', 'latest.json'), 'utf8')) as Report
  for (const [figure, value] of Object.entries(report.figures)) t.equal(value, 0, figure)

  // A green that nothing could have turned red would be worth nothing.
  t.ok(report.acknowledged > 10_000, `${report.acknowledged} events were acknowledged`)
  t.ok(report.kills >= 20, `${report.kills} processes were killed`)
  t.ok(report.resends / report.sends > 0.2, 'many requests were sent again')
  const landed = new Map(report.recoveries.map(({ point, landed }) => [point, landed]))
  for (const { name } of CRASH_POINTS) t.equal(landed.get(name), 1, `${name}: struck where it was aimed at`)
  t.ok(report.windows.thenDuplicate > 0, 'a crash fell between the buffer and the answer')
  t.ok(report.windows.probes > 0, 'a batch was in doubt')
  t.ok(report.windows.poisonedTokens > 0, 'an insert was called successful and had stored nothing')
  t.ok(report.windows.fenced > 0, 'a sink found itself fenced')
})
