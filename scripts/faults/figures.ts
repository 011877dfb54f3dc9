import type { Verdict } from './checker.ts'
import type { Outcome } from './conduct.ts'

/** Figures that have to be 0, summed over organizations and both checks; `red` names those that are not. */
export interface Figures {
  lost: number
  phantom: number
  duplicate: number
  deltaBilled: number
  rejected: number
  unanswered: number
  apiFaults: number
  cursorRegressions: number
  undrained: number
}

export interface Judgment {
  figures: Figures
  red: (keyof Figures)[]
  acknowledged: number
  kills: number
  /** Aimed faults that did not strike. */
  missed: number
  /** With none seen in n trials the true rate is below 3/n with 95 % confidence. */
  boundPerKill: number
  boundPerEvent: number
}

export function judgeOutcome(outcome: Outcome): Judgment {
  const verdicts = [...outcome.verdicts.before, ...outcome.verdicts.after]
  const worst = (figure: (verdict: Verdict) => number) => verdicts.reduce((sum, verdict) => sum + figure(verdict), 0)
  const figures: Figures = {
    lost: worst(({ lost }) => lost),
    phantom: worst(({ phantom }) => phantom),
    duplicate: worst(({ duplicate }) => duplicate),
    deltaBilled: worst(({ deltaBilled }) =>
      Object.values(deltaBilled).reduce((sum, delta) => sum + Math.abs(delta), 0),
    ),
    rejected: worst(({ rejected }) => rejected),
    unanswered: worst(({ unknown }) => unknown),
    apiFaults: worst(({ apiFaults }) => apiFaults.length),
    cursorRegressions: outcome.cursorRegressions,
    undrained: outcome.isWhole ? 0 : 1,
  }
  const acknowledged = outcome.verdicts.after.reduce((sum, verdict) => sum + verdict.acknowledged, 0)
  const kills = outcome.faults.reduce((sum, fault) => sum + fault.kills, 0)
  return {
    figures,
    red: (Object.keys(figures) as (keyof Figures)[]).filter((name) => figures[name] !== 0),
    acknowledged,
    kills,
    missed: outcome.faults.filter(({ landed, note }) => !landed && note !== 'skipped').length,
    boundPerKill: 3 / Math.max(kills, 1),
    boundPerEvent: 3 / Math.max(acknowledged, 1),
  }
}
