import type { Principal } from '../../../http/access.ts'
import type { Postgres } from '../../../infra/postgres.ts'
import { findIsOperator, writeIsOperator } from './store.ts'

/** Who runs the platform. Only a script on the server's own machine changes it: no request can. */
export function createOperatorsService({ postgres }: { postgres: Postgres }) {
  return {
    /** Read anew each time, so that a revocation counts for the next request in every process. */
    async isOperator(principal: Principal): Promise<boolean> {
      if (principal.kind !== 'session') return false
      return postgres.withSystem((tx) => findIsOperator(tx, principal.userId))
    },

    /** Makes an account an operator or takes that away; gives its id, or undefined when nobody has the address. */
    change: (email: string, isOperator: boolean, reason: string): Promise<string | undefined> =>
      postgres.withSystem((tx) => writeIsOperator(tx, email, { isOperator, operatorReason: reason })),
  }
}
