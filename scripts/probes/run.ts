// What the embedded ClickHouse engine is seen to do where the pipeline relies on it: node scripts/probes/run.ts [P3 …]
import { inDirectory } from './front.ts'
import { p1 } from './p1-token-leak.ts'
import { p2 } from './p2-token-restart.ts'
import { p3 } from './p3-kill-between.ts'
import { p4 } from './p4-late-insert.ts'
import { p5 } from './p5-first-wins.ts'
import { p6 } from './p6-second-process.ts'
import { p7 } from './p7-fsync.ts'

export interface Probe {
  name: string
  question: string
  /** What was seen, and whether it is what the pipeline relies on. */
  run: (directory: string) => Promise<{ saw: string; holds: boolean }>
}

const wanted = process.argv.slice(2)
for (const probe of [p1, p2, p3, p4, p5, p6, p7]) {
  if (wanted.length > 0 && !wanted.includes(probe.name)) continue
  await inDirectory(async (directory) => {
    const { saw, holds } = await probe.run(directory)
    console.log(`${probe.name} ${holds ? 'as expected' : 'NOT AS EXPECTED'}: ${probe.question}\n   ${saw}`)
    if (!holds) process.exitCode = 1
  })
}
