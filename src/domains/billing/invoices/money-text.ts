import { formatMoney, minorDigits } from '../money/money.ts'

/** Digits in groups of three, as people read them. */
export const grouped = (digits: string): string => digits.replace(/\B(?=(\d{3})+$)/g, ',')

/** An amount of minor units as people read it: `1,234.50 USD`. */
export function moneyText(amount: string, currency: string): string {
  const [number = '', code = ''] = formatMoney({ amount: BigInt(amount), currency }).split(' ')
  const [whole = '', fraction] = number.split('.')
  return `${grouped(whole)}${fraction === undefined ? '' : `.${fraction}`} ${code}`
}

/** A price of minor units in whole ones, however small: 0.0012 cents are `0.000012 USD`. */
export function unitPriceText(minor: string, currency: string): string {
  const [whole = '0', fraction = ''] = minor.split('.')
  const digits = minorDigits(currency)
  const padded = whole.padStart(digits + 1, '0')
  const cut = padded.length - digits
  const after = `${padded.slice(cut)}${fraction}`.replace(/0+$/, '')
  return `${grouped(padded.slice(0, cut))}${after && `.${after}`} ${currency}`
}
