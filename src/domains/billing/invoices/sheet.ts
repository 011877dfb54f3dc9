import { fileURLToPath } from 'node:url'
import PDFDocument from 'pdfkit'

/** A place on the page, in points from its left edge. */
export interface Column {
  x: number
  width: number
  align?: 'left' | 'right'
}

interface Cell {
  text: string
  at: Column
  color?: keyof typeof COLORS
}

interface Style {
  size?: number
  bold?: boolean
  color?: keyof typeof COLORS
}

const font = (name: string) =>
  fileURLToPath(new URL(`../../../../node_modules/dejavu-fonts-ttf/ttf/${name}.ttf`, import.meta.url))
const [REGULAR, BOLD] = [font('DejaVuSans'), font('DejaVuSans-Bold')]
const COLORS = { ink: '#1a1a1a', quiet: '#5c6370', rule: '#c9ced6' } as const
const TOP = 50
const BOTTOM = 780
const FOOTER = 800
const SIZE = 9

export type Sheet = ReturnType<typeof createSheet>

/** A4 pages that are filled from top to bottom. What belongs together is never torn apart, unless a page cannot hold it. */
export function createSheet({ title, author, madeAt }: { title: string; author: string; madeAt: Date }) {
  const info = { Title: title, Author: author, CreationDate: madeAt, ModDate: madeAt }
  const pdf = new PDFDocument({ size: 'A4', margin: 0, bufferPages: true, info, lang: 'en', displayTitle: true })
  const chunks: Buffer[] = []
  pdf.on('data', (chunk: Buffer) => chunks.push(chunk))
  pdf.registerFont('regular', REGULAR).registerFont('bold', BOLD)
  let y = TOP
  let repeat: (() => void) | undefined
  /** While it measures, nothing is drawn. */
  let isMeasuring = false

  function newPage(): void {
    pdf.addPage()
    y = TOP
    repeat?.()
  }

  function row(cells: readonly Cell[], { size = SIZE, bold = false, color = 'ink' }: Style = {}): void {
    pdf.font(bold ? 'bold' : 'regular').fontSize(size)
    const height = Math.max(...cells.map(({ text, at }) => (text ? pdf.heightOfString(text, { width: at.width }) : 0)))
    if (!isMeasuring && y + height > BOTTOM && y > TOP) {
      newPage()
      pdf.font(bold ? 'bold' : 'regular').fontSize(size)
    }
    if (!isMeasuring)
      for (const { text, at, color: own } of cells)
        if (text)
          pdf.fillColor(COLORS[own ?? color]).text(text, at.x, y, { width: at.width, align: at.align ?? 'left' })
    y += height + 2
  }

  function together(draw: () => void): void {
    const before = y
    isMeasuring = true
    draw()
    isMeasuring = false
    const height = y - before
    y = before
    if (before + height > BOTTOM && height < BOTTOM - TOP) newPage()
    draw()
  }

  return {
    row,
    together,
    gap: (points: number) => {
      y += points
    },
    rule() {
      if (!isMeasuring) pdf.moveTo(50, y).lineTo(545, y).lineWidth(1).strokeColor(COLORS.rule).stroke()
      y += 5
    },
    /** Both begin at the same height; what follows begins below the longer. */
    beside(left: () => void, right: () => void) {
      const before = y
      left()
      const end = y
      y = before
      right()
      y = Math.max(y, end)
    },
    /** What is drawn at the top of every page that begins from now on. */
    onNewPage(draw: (() => void) | undefined) {
      repeat = draw
    },
    async finish(footer: (page: number, pages: number) => string): Promise<Buffer> {
      const { count } = pdf.bufferedPageRange()
      for (let page = 0; page < count; page++) {
        pdf.switchToPage(page)
        pdf.font('regular').fontSize(7).fillColor(COLORS.quiet)
        pdf.text(footer(page + 1, count), 50, FOOTER, { width: 495, align: 'center', lineBreak: false })
      }
      const ended = new Promise((resolve) => pdf.on('end', resolve))
      pdf.end()
      await ended
      return Buffer.concat(chunks)
    },
  }
}
