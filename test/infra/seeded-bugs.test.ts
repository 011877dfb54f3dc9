import { readFileSync } from 'node:fs'
import t from 'tap'
import { patched, SEEDED_BUGS } from '../../scripts/faults/seeded-bugs.ts'

t.test('every seeded bug of the fault rig still has its place in the source', async (t) => {
  t.equal(SEEDED_BUGS.length, 8)
  for (const { name, patches } of SEEDED_BUGS) {
    for (const patch of patches) {
      const source = readFileSync(new URL(`../../${patch.file}`, import.meta.url), 'utf8')
      t.doesNotThrow(() => t.not(patched(patch, source), source), `${name}: ${patch.file}`)
    }
  }
})

t.test('a seeded bug whose place is gone is an error that names it', async (t) => {
  const patch = { file: 'src/a.ts', find: 'guard()', replace: '' }
  t.throws(() => patched(patch, 'nothing'), { message: /src\/a\.ts .*guard\(\)/ })
  t.throws(() => patched(patch, 'guard() guard()'), { message: /2 times, not 1/ })
  t.equal(patched(patch, 'if (guard()) go'), 'if () go')
})
