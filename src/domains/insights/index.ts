import { type Static, Type } from '@sinclair/typebox'
export const FilterSchema = Type.Object({ field: Type.String(), operator: Type.String(), value: Type.Unknown() })
export type FilterSchema = Static<typeof FilterSchema>
export const createFilterPredicate = (_f: readonly FilterSchema[]) => (_e: Record<string, unknown>) => true
export default async function insights(_app: unknown, _options: unknown): Promise<void> {}
