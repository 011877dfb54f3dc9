/** The fields among the names that are not the same; undefined when all are. */
export function differencesOf<T extends object>(before: T, after: T, names: (keyof T & string)[]) {
  const changed = names.filter((name) => JSON.stringify(before[name]) !== JSON.stringify(after[name]))
  const pick = (row: T) => Object.fromEntries(changed.map((name) => [name, row[name]]))
  return changed.length === 0 ? undefined : { before: pick(before), after: pick(after) }
}
