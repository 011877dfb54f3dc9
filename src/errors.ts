/** One fault of one field. `path` is a JSON pointer into the request (RFC 6901). */
export interface FieldError {
  path: string
  message: string
}

interface ProblemExtras {
  errors?: FieldError[]
  headers?: Record<string, string>
  cause?: unknown
}

/**
 * An expected failure with a public face (RFC 9457) and a private cause. `code` (`domain.reason`) is stable and documented;
 * `detail` may be shown to anyone; `cause` goes to the log and never to the caller.
 */
export class Problem extends Error {
  override name = 'Problem'
  readonly code: string
  readonly status: number
  readonly title: string
  readonly errors: FieldError[] | undefined
  readonly headers: Record<string, string>

  constructor(code: string, status: number, title: string, detail: string, extras: ProblemExtras = {}) {
    super(detail, { cause: extras.cause })
    this.code = code
    this.status = status
    this.title = title
    this.errors = extras.errors
    this.headers = extras.headers ?? {}
  }
}

export type ProblemFactory = (detail: string, extras?: ProblemExtras) => Problem

/** Fixes code, status and title in one place, so that a domain's `errors.ts` is the list of everything it can say no to. */
export function defineProblem(code: string, status: number, title: string): ProblemFactory {
  return (detail, extras) => new Problem(code, status, title, detail, extras)
}

export const invalidRequest = defineProblem('request.invalid', 400, 'The request is not valid')
export const unauthenticated = defineProblem('auth.unauthenticated', 401, 'Credentials are missing or not valid')
export const forbidden = defineProblem('auth.forbidden', 403, 'The credential does not allow this')
export const notFound = defineProblem('resource.not_found', 404, 'Not found')
/** Of a path where nothing is, and of a route that somebody may not know of. */
export const noSuchRoute = ({ method, url }: { method: string; url: string }): Problem =>
  notFound(`There is no ${method} ${url.split('?', 1)[0]}.`)

export const unavailable = defineProblem(
  'service.unavailable',
  503,
  'A service that this request needs is not available',
)
