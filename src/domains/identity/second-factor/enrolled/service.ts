import type { Postgres } from '../../../../infra/postgres.ts'
import { findSecondFactor } from '../store.ts'

/** Whether a person has a second factor at this moment, for what may be done with one only. */
export const createEnrolledCheck =
  ({ postgres }: { postgres: Postgres }) =>
  async (userId: string): Promise<boolean> =>
    Boolean((await postgres.withSystem((tx) => findSecondFactor(tx, userId)))?.confirmedAt)
