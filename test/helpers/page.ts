import { readFileSync } from 'node:fs'
import { JSDOM, requestInterceptor, VirtualConsole } from 'jsdom'
import type { Test } from 'tap'

export interface Page {
  window: InstanceType<typeof JSDOM>['window']
  /** Every request that the page made, to whichever host. */
  requests: string[]
  /** What the page complained about: refusals of CORS, faults of scripts. */
  complaints: string[]
}

interface PageOptions {
  url: string
  /** The one server that is there; every other host is away. */
  server: string
  /** A library as it is published, as a file. */
  library: string
}

/**
 * A page with a library on it, in jsdom, which keeps the rules of CORS, preflights included. What it lacks is there as browsers have
 * it: a beacon, which is sent without asking, with the page's origin and its cookies.
 */
export function openPage(t: Test, { url, server, library }: PageOptions): Page {
  const requests: string[] = []
  const complaints: string[] = []
  const record = requestInterceptor((request) => {
    requests.push(request.url)
    return request.url.startsWith(server) ? undefined : Response.error()
  })
  const virtualConsole = new VirtualConsole()
  for (const event of ['jsdomError', 'error']) virtualConsole.on(event, (...said) => complaints.push(said.join(' ')))
  const { window } = new JSDOM('<!doctype html><title>Shop</title><body><h1>Shop</h1>', {
    url,
    virtualConsole,
    runScripts: 'dangerously',
    pretendToBeVisual: true,
    resources: { interceptors: [record] },
  })
  t.teardown(() => window.close())
  Object.defineProperty(window.navigator, 'sendBeacon', {
    value: (target: string, body: string | Blob) => {
      const address = new URL(target, url).href
      requests.push(address)
      if (address.startsWith(server)) void sendBeacon(window, address, body)
      return true
    },
  })
  window.eval(readFileSync(library, 'utf8'))
  return { window, requests, complaints }
}

async function sendBeacon(window: Page['window'], address: string, body: string | Blob): Promise<void> {
  const headers = { origin: window.location.origin, cookie: 'session=1' }
  if (typeof body === 'string') {
    await fetch(address, { method: 'POST', headers: { ...headers, 'content-type': 'text/plain;charset=UTF-8' }, body })
    return
  }
  // A Blob of the page is none of ours.
  const bytes = await new Promise<ArrayBuffer>((resolve) => {
    const reader = new window.FileReader()
    reader.onload = () => resolve(reader.result as ArrayBuffer)
    reader.readAsArrayBuffer(body)
  })
  await fetch(address, { method: 'POST', headers: { ...headers, 'content-type': body.type }, body: Buffer.from(bytes) })
}
