/** An amount of minor units (cents, or yen where there is nothing smaller) of an ISO 4217 currency. */
export interface Money {
  amount: bigint
  currency: string
}

const CURRENCIES = new Set(Intl.supportedValuesOf('currency'))

export const isCurrency = (code: string): boolean => CURRENCIES.has(code)

/**
 * The currencies whose minor unit is not a hundredth, of ISO 4217. Written down, because Intl speaks of what people pay in cash: it gives
 * HUF, COP and IDR no digits where ISO and payment providers count two, and a new version of its data would change stored amounts.
 */
const WITHOUT_DIGITS = 'BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF'.split(' ')
const WITH_THREE_DIGITS = 'BHD IQD JOD KWD LYD OMR TND'.split(' ')

/** How many digits of an amount stand after the point: 2 for USD, 0 for JPY, 3 for KWD. Throws a RangeError for no currency. */
export function minorDigits(currency: string) {
  if (!isCurrency(currency)) throw new RangeError('not a currency of ISO 4217')
  if (WITHOUT_DIGITS.includes(currency)) return 0
  return WITH_THREE_DIGITS.includes(currency) ? 3 : 2
}

/** Amounts of one currency together; a mixture is a defect of the caller. */
export function addMoney(one: Money, other: Money): Money {
  if (one.currency !== other.currency) throw new RangeError('amounts of two currencies have no sum')
  return { amount: one.amount + other.amount, currency: one.currency }
}

/** As people read it, with the code and not a sign, which several currencies share: `-1234.50 USD`. */
export function formatMoney({ amount, currency }: Money): string {
  const digits = minorDigits(currency)
  const text = (amount < 0n ? -amount : amount).toString().padStart(digits + 1, '0')
  const cut = text.length - digits
  return `${amount < 0n ? '-' : ''}${text.slice(0, cut)}${digits > 0 ? `.${text.slice(cut)}` : ''} ${currency}`
}
