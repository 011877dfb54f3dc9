/** Everything that decides a stream. Two equal plans make the same events with the same messageIds. */
export interface StreamPlan {
  seed: number
  /** Epoch milliseconds, whole seconds; every event is before it. */
  untilMs: number
  months: number
  events: number
  users: number
}

/** The beginning of the stream: the same time of day, whole calendar months (UTC) before its end. */
export function startMsOf({ untilMs, months }: StreamPlan): number {
  const until = new Date(untilMs)
  const start = new Date(untilMs)
  start.setUTCDate(1)
  start.setUTCMonth(start.getUTCMonth() - months)
  const daysInMonth = new Date(Date.UTC(start.getUTCFullYear(), start.getUTCMonth() + 1, 0)).getUTCDate()
  start.setUTCDate(Math.min(until.getUTCDate(), daysInMonth))
  return start.getTime()
}

/**
 * The name of the stream, sent as `context.library.run`, for example `42/3/1000000/20000/2026-10-01T12:00:00Z`. It holds the whole
 * plan, so that a stored stream can be generated again, and thereby checked, from nothing but its name.
 */
export function runOf({ seed, months, events, users, untilMs }: StreamPlan): string {
  return [seed, months, events, users, new Date(untilMs).toISOString().replace('.000Z', 'Z')].join('/')
}

/** The plan that a run names, or undefined when the text is not a run's name. */
export function planOf(run: string): StreamPlan | undefined {
  const [seed, months, events, users, until = ''] = run.split('/')
  const plan = {
    seed: Number(seed),
    months: Number(months),
    events: Number(events),
    users: Number(users),
    untilMs: Date.parse(until),
  }
  const isPlan = Object.values(plan).every(Number.isInteger)
  return isPlan && runOf(plan) === run ? plan : undefined
}
