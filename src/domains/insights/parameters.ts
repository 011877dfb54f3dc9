/** ClickHouse types that a bound value may have. */
type ParameterType = 'String' | 'Float64' | 'Int64' | 'UInt32' | 'Array(String)' | 'Array(Float64)' | 'Array(Int64)'

/**
 * Collects the values of one statement. `bind` gives the placeholder to write in place of the value: whatever comes from a caller,
 * names of properties included, reaches ClickHouse this way and is never part of the statement's text.
 */
export function createParameters() {
  const values: Record<string, unknown> = {}
  return {
    values,
    bind(value: unknown, type: ParameterType): string {
      const name = `p${Object.keys(values).length}`
      values[name] = value
      return `{${name}:${type}}`
    },
  }
}
export type Parameters = ReturnType<typeof createParameters>
