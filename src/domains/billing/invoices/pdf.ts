import type { InvoiceDocument } from './document.ts'
import { grouped, moneyText as money, unitPriceText } from './money-text.ts'
import { type Column, createSheet, type Sheet } from './sheet.ts'

const LEFT: Column = { x: 50, width: 240 }
const RIGHT: Column = { x: 310, width: 235, align: 'right' }
const WHOLE: Column = { x: 50, width: 495 }
const DESCRIPTION: Column = { x: 50, width: 285 }
const QUANTITY: Column = { x: 335, width: 85, align: 'right' }
const AMOUNT: Column = { x: 420, width: 125, align: 'right' }
const LABEL: Column = { x: 230, width: 190, align: 'right' }

const TITLES: Record<string, string> = { draft: 'Draft of an invoice', void: 'Void invoice' }

/** An invoice on paper. The same invoice gives the same bytes. */
export function invoicePdf(
  document: InvoiceDocument,
  { status, contentHash }: { status: string; contentHash: string },
) {
  const title = TITLES[status] ?? 'Invoice'
  const name = document.number ?? 'draft'
  const madeAt = new Date(document.issuedAt ?? document.cutOff)
  const sheet = createSheet({ title: `${title} ${name}`, author: document.seller.name, madeAt })
  head(sheet, document, title)
  table(sheet, document)
  totals(sheet, document)
  sheet.gap(16)
  sheet.row([{ text: `SHA-256 of the invoice's data: ${contentHash}`, at: WHOLE }], { size: 7, color: 'quiet' })
  return sheet.finish((page, pages) => `${document.seller.name} · ${title} ${name} · page ${page} of ${pages}`)
}

function head(sheet: Sheet, { seller, buyer, ...document }: InvoiceDocument, title: string): void {
  sheet.row(
    [
      { text: seller.name, at: LEFT },
      { text: title, at: RIGHT },
    ],
    { size: 16, bold: true },
  )
  sheet.gap(4)
  sheet.row([{ text: partyLines(seller).join('\n'), at: LEFT }], { color: 'quiet' })
  sheet.gap(18)
  const facts = [
    ['Number', document.number ?? '–'],
    ['Issued', dayOf(document.issuedAt)],
    document.collectedBy ? ['Collected', 'through Stripe'] : ['Due', dayOf(document.dueAt)],
    ...(document.period ? [['Period', `${dayOf(document.period.startsAt)} – ${dayOf(document.period.endsAt)}`]] : []),
    ['Currency', document.currency],
  ]
  sheet.beside(
    () => {
      sheet.row([{ text: 'Bill to', at: LEFT }], { color: 'quiet' })
      sheet.row([{ text: buyer.name, at: LEFT }], { bold: true })
      sheet.row([{ text: [...partyLines(buyer), ...(buyer.email ? [buyer.email] : [])].join('\n'), at: LEFT }])
    },
    () => {
      for (const [label = '', value = ''] of facts)
        sheet.row([
          { text: label, at: { x: 310, width: 75 }, color: 'quiet' },
          { text: value, at: { x: 385, width: 160, align: 'right' } },
        ])
    },
  )
  sheet.gap(20)
}

function table(sheet: Sheet, { lines, currency }: InvoiceDocument): void {
  const header = () => {
    sheet.row(
      [
        { text: 'Description', at: DESCRIPTION },
        { text: 'Quantity', at: QUANTITY },
        { text: 'Amount', at: AMOUNT },
      ],
      { bold: true },
    )
    sheet.rule()
  }
  header()
  sheet.onNewPage(header)
  for (const line of lines) {
    sheet.together(() => {
      sheet.row([
        { text: line.description, at: DESCRIPTION },
        { text: line.quantity === null ? '' : grouped(line.quantity), at: QUANTITY },
        { text: money(line.amount, currency), at: AMOUNT },
      ])
      for (const detail of detailsOf(line, currency))
        sheet.row([{ text: detail, at: { ...DESCRIPTION, x: DESCRIPTION.x + 10, width: DESCRIPTION.width - 10 } }], {
          size: 8,
          color: 'quiet',
        })
      sheet.gap(5)
    })
  }
  sheet.onNewPage(undefined)
  sheet.rule()
}

/** What a line was computed from, as somebody would check it by hand. */
function detailsOf(line: InvoiceDocument['lines'][number], currency: string): string[] {
  const { from, to, tiers, source } = line
  const range = from && to ? [`${timeOf(from)} to ${timeOf(to)}`] : []
  const steps = tiers.map(({ quantity, unitAmount, per, flatAmount, amount }) => {
    if (amount === '0') return `${grouped(quantity)} included`
    const price = unitPriceText(unitAmount, currency)
    const unit = per === '1' ? price : `${price} for each ${grouped(per)}`
    const flat = flatAmount === '0' ? '' : ` + ${money(flatAmount, currency)}`
    return `${grouped(quantity)} × ${unit}${flat} = ${money(amount, currency)}`
  })
  const topUp = line.topUp === '0' ? [] : [`To the minimum: ${money(line.topUp, currency)}`]
  if (source.kind !== 'adjustment') return [...range, ...steps, ...topUp]
  const { before, after, invoiceNumber } = source
  const told = `${grouped(before.quantity)} were billed${invoiceNumber ? ` with ${invoiceNumber}` : ''}, ${grouped(after.quantity)} there are`
  return [...range, `${told}: ${money(after.amount, currency)} less ${money(before.amount, currency)}`]
}

function totals(sheet: Sheet, document: InvoiceDocument): void {
  const { currency, discount, taxBasisPoints, coupons, creditApplied } = document
  const line = (label: string, amount: string, bold = false) =>
    sheet.row(
      [
        { text: label, at: LABEL },
        { text: money(amount, currency), at: AMOUNT },
      ],
      { bold },
    )
  sheet.gap(6)
  sheet.together(() => {
    line('Subtotal', document.amount)
    for (const coupon of coupons.filter((one) => one.discount !== '0'))
      line(`Discount ${coupon.code}`, negative(coupon.discount))
    if (discount !== '0') line('Net', document.net)
    line(`Tax ${percentOf(taxBasisPoints)}`, document.tax)
    line('Total', document.total, true)
    if (creditApplied !== '0')
      line(BigInt(creditApplied) > 0n ? 'Credit used' : 'Given as credit', negative(creditApplied))
    sheet.gap(4)
    line('Amount due', document.amountDue, true)
    if (document.collectedBy)
      sheet.row([{ text: 'Collected through Stripe. Please do not pay it in another way.', at: WHOLE }], {
        color: 'quiet',
      })
  })
}

const partyLines = ({ address, taxId }: { address: string[]; taxId: string | null }) => [
  ...address,
  ...(taxId ? [`Tax ID ${taxId}`] : []),
]

const negative = (amount: string) => (-BigInt(amount)).toString()
const dayOf = (time: string | null) => time?.slice(0, 10) ?? '–'
const timeOf = (time: string) => `${time.slice(0, 10)} ${time.slice(11, 16)} UTC`
/** Basis points as people read them: 1900 is 19 %, 725 is 7.25 %. */
const percentOf = (basisPoints: string) => `${formatPercent(BigInt(basisPoints))} %`
const formatPercent = (basisPoints: bigint) => {
  const fraction = (basisPoints % 100n).toString().padStart(2, '0').replace(/0+$/, '')
  return `${basisPoints / 100n}${fraction && `.${fraction}`}`
}
