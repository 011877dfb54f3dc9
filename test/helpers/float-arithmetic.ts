import { withoutComments } from './imports.ts'

/** The only file that may divide: its quotients say how they are rounded. */
const DIVIDES = 'src/domains/billing/money/rounding.ts'
/** Cuts a time to its second, where the language's division of bigints towards zero is what is meant. */
const CUTS_TIME = 'src/domains/billing/pricing/prorate.ts'

const RULES: [RegExp, string, string[]?][] = [
  [/\bnumber\b/, 'has the type number'],
  [/\b(?:parseFloat|parseInt|Number)\b/, 'makes a number'],
  [/\bMath\b|\.to(?:Fixed|Precision|Exponential)\b/, 'calculates with numbers'],
  [/\b\d+\.\d|\b\d+e\d/, 'has a number with a fraction'],
  [/[=(,]\s*\+\w/, 'makes a number with a plus'],
  [/\//, 'divides, which truncates: rounding.ts says how a quotient is rounded', [DIVIDES, CUTS_TIME]],
]

/** One line for each place in a source where an amount could become a float or lose its fraction unseen. */
export function floatFaults(path: string, text: string): string[] {
  const code = withoutTexts(withoutComments(text))
  return code
    .split('\n')
    .flatMap((line, index) =>
      RULES.filter(([pattern, , except = []]) => !except.includes(path) && pattern.test(line)).map(
        ([, fault]) => `${path}:${index + 1} ${fault}`,
      ),
    )
}

/** Texts and patterns hold digits and slashes that calculate nothing; what a template inserts stays. */
function withoutTexts(code: string): string {
  return code
    .replace(/`(?:[^`\\]|\\.)*`/g, (template) =>
      [...template.matchAll(/\$\{([^}]*)\}/g)].map(([, code]) => code).join(' '),
    )
    .replace(/'(?:[^'\\\n]|\\.)*'/g, "''")
    .replace(/([=(,]\s*)\/(?:[^/\\\n]|\\.)+\/[dgimsuvy]*(?=[.,)\s])/g, '$1pattern')
}
