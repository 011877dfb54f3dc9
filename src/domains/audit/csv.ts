/** A spreadsheet takes a cell that begins like this for a formula, which could send away what stands beside it. */
const FORMULA = /^[=+\-@\t\r]/
const NEEDS_QUOTES = /[",\r\n]/

/** One record of RFC 4180, its line break included. */
export function csvLine(cells: readonly (string | number | bigint | null)[]): string {
  return `${cells.map(csvCell).join(',')}\r\n`
}

function csvCell(value: string | number | bigint | null): string {
  // What is a number is no formula, though it may begin with a minus.
  if (typeof value !== 'string') return String(value ?? '')
  const harmless = FORMULA.test(value) ? `'${value}` : value
  return NEEDS_QUOTES.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless
}
