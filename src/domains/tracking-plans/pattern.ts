import { PatternError, type PatternNode, parsePattern, type Ranges } from './pattern-syntax.ts'

export { PatternError }

/** How much work patterns may still do. One unit is about the time of one look-up. */
export interface Steps {
  left: number
}

export interface Pattern {
  /** Whether the text has a part that the pattern describes. False also when the steps ran out, which `steps.left < 0` tells. */
  test: (text: string, steps: Steps) => boolean
}

const STATES_MAX = 500
const CACHE_MAX = 300
/** What it costs to find out where one state leads, in steps whose end is known. */
const UNKNOWN_STEP = 16

type State =
  | { kind: 'one'; of: Ranges; classes: Set<number>; next: number }
  | { kind: 'split'; next: number; other: number }
  | { kind: 'start' | 'end'; next: number }
  | { kind: 'match' }

/** A set of states that the machine can be in, with what has been found out about it. */
interface Situation {
  states: number[]
  next: (Situation | undefined)[]
  matches: boolean
  matchesAtEnd: boolean
}

/**
 * Compiles a pattern for texts that nobody has checked: it reads each text once and forward, in a machine that is in a set of states
 * (Thompson 1968), so no pattern can make it try again and again as a backtracking engine does. Sets are made as they are met and
 * kept, up to a bound. Throws PatternError for what it cannot do.
 */
export function compilePattern(source: string): Pattern {
  const { states, start } = build(parsePattern(source))
  const { classOf, classCount } = classify(states)
  const cache = new Map<string, Situation>()
  let first: Situation | undefined

  function closure(from: readonly number[], atStart: boolean, atEnd: boolean): number[] {
    const seen = new Set<number>()
    const stack = [...from]
    for (let index = stack.pop(); index !== undefined; index = stack.pop()) {
      const state = states[index]
      if (!state || seen.has(index)) continue
      seen.add(index)
      if (state.kind === 'split') stack.push(state.next, state.other)
      else if ((state.kind === 'start' && atStart) || (state.kind === 'end' && atEnd)) stack.push(state.next)
    }
    return [...seen].filter((index) => states[index]?.kind !== 'split').sort((a, b) => a - b)
  }

  const isMatch = (index: number) => states[index]?.kind === 'match'

  function situationOf(from: readonly number[], atStart: boolean): Situation {
    const reached = closure(from, atStart, false)
    const key = `${atStart}${reached.join()}`
    const known = cache.get(key)
    if (known) return known
    // The pattern may begin anywhere, so its first state is in every set.
    const situation: Situation = {
      states: reached,
      next: new Array(classCount),
      matches: reached.some(isMatch),
      matchesAtEnd: closure(reached, atStart, true).some(isMatch),
    }
    // Situations hold on to each other, so the first one has to go as well.
    if (cache.size >= CACHE_MAX) {
      cache.clear()
      first = undefined
    }
    cache.set(key, situation)
    return situation
  }

  function advance(situation: Situation, character: number): Situation {
    const reached = [start]
    for (const index of situation.states) {
      const state = states[index]
      if (state?.kind === 'one' && state.classes.has(character)) reached.push(state.next)
    }
    const next = situationOf(reached, false)
    situation.next[character] = next
    return next
  }

  return {
    test(text, steps) {
      first ??= situationOf([start], true)
      let situation = first
      for (let at = 0; at < text.length; at++) {
        if (situation.matches) return true
        const code = text.codePointAt(at) ?? 0
        if (code > 0xffff) at++
        const character = classOf(code)
        const known = situation.next[character]
        steps.left -= known ? 1 : UNKNOWN_STEP * (situation.states.length + 1)
        if (steps.left < 0) return false
        situation = known ?? advance(situation, character)
      }
      return situation.matchesAtEnd
    },
  }
}

function build(pattern: PatternNode): { states: State[]; start: number } {
  const states: State[] = []
  const add = (state: State): number => {
    if (states.length >= STATES_MAX) throw new PatternError(`needs more than ${STATES_MAX} states: make it simpler`)
    return states.push(state) - 1
  }

  /** Adds the states of a node that go on to `next`, and gives the first of them. */
  function enter(node: PatternNode, next: number): number {
    switch (node.kind) {
      case 'one':
        return add({ kind: 'one', of: node.of, classes: new Set(), next })
      case 'start':
      case 'end':
        return add({ kind: node.kind, next })
      case 'sequence':
        return node.parts.reduceRight((after, part) => enter(part, after), next)
      case 'choice':
        return node.options
          .map((option) => enter(option, next))
          .reduce((other, one) => add({ kind: 'split', next: one, other }))
      case 'repeat':
        return enterRepeat(node, next)
    }
  }

  function enterRepeat({ node, min, max }: Extract<PatternNode, { kind: 'repeat' }>, next: number): number {
    let after = next
    if (max === Number.POSITIVE_INFINITY) {
      const loop: State = { kind: 'split', next, other: next }
      after = add(loop)
      loop.next = enter(node, after)
    } else {
      for (let count = min; count < max; count++) after = add({ kind: 'split', next: enter(node, after), other: next })
    }
    for (let count = 0; count < min; count++) after = enter(node, after)
    return after
  }

  return { start: enter(pattern, add({ kind: 'match' })), states }
}

/** Puts code points that no state tells apart into one class, so that a set of states has few ways on. */
function classify(states: State[]) {
  const bounds = new Set([0])
  for (const state of states) {
    if (state.kind === 'one') for (const [first, last] of state.of) bounds.add(first).add(last + 1)
  }
  const starts = [...bounds].sort((a, b) => a - b)
  const find = (code: number): number => {
    let [low, high] = [0, starts.length - 1]
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if ((starts[middle] ?? 0) <= code) low = middle
      else high = middle - 1
    }
    return low
  }
  const ascii = Uint16Array.from({ length: 128 }, (_, code) => find(code))
  for (const state of states) {
    if (state.kind !== 'one') continue
    for (const [first, last] of state.of)
      for (let index = find(first); index < starts.length && (starts[index] ?? 0) <= last; index++)
        state.classes.add(index)
  }
  return { classCount: starts.length, classOf: (code: number) => (code < 128 ? (ascii[code] ?? 0) : find(code)) }
}
