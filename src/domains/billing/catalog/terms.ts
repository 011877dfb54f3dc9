import { Value } from '@sinclair/typebox/value'
import type { FieldError } from '../../../errors.ts'
import { isCurrency } from '../money/money.ts'
import { priceFaults } from '../pricing/price-faults.ts'
import { PlanTerms } from './schemas.ts'

const FAULTS_MAX = 20

/** Everything that is wrong with terms, by place; what has no fault can be billed by for good. */
export function termsFaults(terms: unknown): FieldError[] {
  if (!Value.Check(PlanTerms, terms)) {
    const faults = [...Value.Errors(PlanTerms, terms)].slice(0, FAULTS_MAX)
    return faults.map(({ path, message }) => ({ path, message }))
  }
  const meters = terms.metered.map(({ meter }) => meter)
  return [
    ...(isCurrency(terms.currency) ? [] : [{ path: '/currency', message: 'is not a currency' }]),
    ...terms.metered.flatMap(({ meter, price }, index) => [
      ...(meters.indexOf(meter) === index ? [] : [{ path: `/metered/${index}/meter`, message: 'has a price already' }]),
      ...priceFaults(price, `/metered/${index}/price`),
    ]),
  ]
}
