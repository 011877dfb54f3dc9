const NUMBER_DIGITS = 6

/** The number of an invoice or a credit note, as people cite it. */
export const numberOf = (prefix: string, next: bigint): string =>
  `${prefix}${next.toString().padStart(NUMBER_DIGITS, '0')}`
