import { Type } from '@sinclair/typebox'

/** An exact decimal, as text so that nothing rounds it. */
export const Decimal = (description: string) => Type.String({ description, examples: ['1250.5'] })
