const BAR_WIDTH = 28
const number = new Intl.NumberFormat('en-US')

export interface Output {
  isTTY?: boolean
  write: (text: string) => unknown
}

export interface Progress {
  update: (done: number) => void
  finish: (done: number) => void
}

/** A bar that moves in place on a terminal; elsewhere a line every ten seconds, because logs are read later. */
export function createProgress(total: number, output: Output): Progress {
  const startedAtMs = performance.now()
  const intervalMs = output.isTTY ? 100 : 10_000
  let shownAtMs = startedAtMs
  const show = (done: number) => {
    const line = progressLine(done, total, (performance.now() - startedAtMs) / 1000)
    // Return to the start of the line, and clear what a longer line left behind it.
    output.write(output.isTTY ? `\r${line}\x1b[K` : `${line}\n`)
  }
  return {
    update: (done) => {
      if (performance.now() - shownAtMs < intervalMs) return
      shownAtMs = performance.now()
      show(done)
    },
    finish: (done) => {
      show(done)
      if (output.isTTY) output.write('\n')
    },
  }
}

export function progressLine(done: number, total: number, elapsedSeconds: number): string {
  const share = total === 0 ? 1 : done / total
  const rate = done / Math.max(elapsedSeconds, 0.001)
  const filled = Math.round(share * BAR_WIDTH)
  const bar = '█'.repeat(filled) + '░'.repeat(BAR_WIDTH - filled)
  const remaining =
    done < total ? `ETA ${clock(rate > 0 ? (total - done) / rate : Number.NaN)}` : `took ${clock(elapsedSeconds)}`
  const counts = `${number.format(done)} of ${number.format(total)}`
  return `${bar} ${String(Math.floor(share * 100)).padStart(3)} %  ${counts}  ${number.format(Math.round(rate))}/s  ${remaining}`
}

function clock(seconds: number): string {
  if (Number.isNaN(seconds)) return '–'
  return `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, '0')}`
}
