/** The part of jsdom that the tests use; the package has no types. */
declare module 'jsdom' {
  export class VirtualConsole {
    on(event: string, listener: (...args: unknown[]) => void): this
  }
  export class JSDOM {
    constructor(
      html: string,
      options: {
        url: string
        runScripts: 'dangerously' | 'outside-only'
        pretendToBeVisual?: boolean
        virtualConsole: VirtualConsole
        resources?: { interceptors: unknown[] }
        beforeParse?: (window: Window & typeof globalThis) => void
      },
    )
    readonly window: Window & typeof globalThis & { eval: (script: string) => unknown }
  }
  export function requestInterceptor(
    intercept: (request: Request, context: { element: Element | null }) => Response | undefined,
  ): unknown
}
