import { withoutComments } from './imports.ts'

const MONEY =
  '(?:\\w*[aA]mount|amountDue|discount|net|tax|total|balance|credit|creditApplied|settled|topUp|basePrice|minimum|quantity|rowCount)'
const RULES: [RegExp, string][] = [
  [new RegExp(`\\b${MONEY}\\??: (?:readonly )?number\\b`), 'has the type number'],
  [new RegExp(`\\b${MONEY}: (?:orNull\\()?Type\\.(?:Number|Integer)\\b`), 'is a number in JSON'],
  [
    new RegExp(`\\b${MONEY}: (?:bigint\\(.*'number'|(?:integer|numeric|real|doublePrecision)\\()`),
    'is a number in a row',
  ],
  [new RegExp(`\\bNumber\\([^)]*\\b${MONEY}\\b`), 'is made a number'],
  [/\bparseFloat\b|\.to(?:Fixed|Precision|Exponential)\b/, 'makes or shows a float'],
  [/(?<![\w.'-])\d+\.\d+\b/, 'has a number with a fraction'],
]

/** One line for each place in a source of billing where money or a quantity could be a float. */
export function moneyTypeFaults(path: string, text: string): string[] {
  const code = withoutComments(text).replace(/'(?!number')(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\.)*`/g, "''")
  return code
    .split('\n')
    .flatMap((line, index) =>
      RULES.filter(([pattern]) => pattern.test(line)).map(
        ([, fault]) => `${path}:${index + 1} ${fault}: ${line.trim()}`,
      ),
    )
}
