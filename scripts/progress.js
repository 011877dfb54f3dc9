const frames = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏']

/**
 * Shows that something long is going on: one moving line on a terminal; elsewhere, where lines cannot be taken back, a
 * new one every 15 seconds.
 *
 * @param {string} title
 */
export function startProgress(title) {
  const { stdout } = process
  const startedAt = Date.now()
  let fetched = 0
  let turn = 0
  const state = () => `${Math.round((Date.now() - startedAt) / 1000)} s${fetched > 0 ? `, ${fetched} downloads` : ''}`
  const draw = () => stdout.write(`\r\x1b[K  ${frames[turn++ % frames.length]} ${title} ${state()}`)
  const say = () => stdout.write(`  … ${state()}\n`)
  if (!stdout.isTTY) stdout.write(`  ${title}\n`)
  const timer = setInterval(stdout.isTTY ? draw : say, stdout.isTTY ? 100 : 15_000)
  return {
    /** @param {number} count */
    advance(count) {
      fetched = count
    },
    /** @param {string} outcome */
    end(outcome) {
      clearInterval(timer)
      stdout.write(stdout.isTTY ? `\r\x1b[K  ${title}: ${outcome}\n` : `  ${outcome}\n`)
    },
  }
}
