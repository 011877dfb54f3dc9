/** A broken rule: where in the event (JSON pointer), which rule, and what it says. */
export interface Violation {
  path: string
  keyword: string
  message: string
}
