import { isUtf8 } from 'node:buffer'
import type { IncomingHttpHeaders } from 'node:http'
import { Readable } from 'node:stream'
import type { FastifyInstance, FastifyRequest, preParsingHookHandler } from 'fastify'
import { decodeText, parseJson, readBody } from '../body.ts'

const STRUCTURED = 'application/cloudevents+json'
const PREFIX = 'ce-'

/**
 * Lets the routes of these addresses, where they are registered after it, take CloudEvents in binary mode: attributes in headers
 * that begin with `ce-`, and the data alone as body. They are turned into structured ones before anything reads the body, so that the
 * routes know of one form, and one event is the same in both.
 */
export function readBinaryCloudEvents(app: FastifyInstance, urls: string[]): void {
  app.addHook('onRoute', (route) => {
    if (urls.includes(route.url)) route.preParsing = [readBinary, route.preParsing ?? []].flat()
  })
}

/** With a callback, so that other requests wait for no promise. */
const readBinary: preParsingHookHandler = (request, _reply, payload, done) => {
  if (!isBinary(request)) return done(null, payload)
  toStructured(request, payload as Readable).then((structured) => done(null, structured), done)
}

async function toStructured(request: FastifyRequest, payload: Readable): Promise<Readable> {
  const { 'content-type': contentType = '', 'content-encoding': encoding = 'identity' } = request.headers
  const data = await readBody(payload, encoding)
  const event = { ...attributesOf(request.headers), ...dataOf(data, contentType) }
  request.headers = { 'content-type': STRUCTURED, 'content-encoding': 'identity' }
  return Readable.from([Buffer.from(JSON.stringify(event))])
}

/** An event in the body speaks for itself, whatever headers a proxy has added. */
const isBinary = ({ headers }: FastifyRequest) =>
  headers['ce-specversion'] !== undefined && !headers['content-type']?.startsWith('application/cloudevents')

function attributesOf(headers: IncomingHttpHeaders): Record<string, string> {
  const attributes = Object.entries(headers).filter(([name]) => name.startsWith(PREFIX))
  return Object.fromEntries(attributes.map(([name, value]) => [name.slice(PREFIX.length), decodeHeader(String(value))]))
}

/** The media type of the data is JSON where an event says nothing else, so that is left out here as in the other modes. */
function dataOf(bytes: Buffer, contentType: string): Record<string, unknown> {
  const mediaType = contentType.split(';', 1)[0]?.trim().toLowerCase() ?? ''
  const datacontenttype = /^(application\/json)?$/.test(mediaType) ? {} : { datacontenttype: contentType }
  if (bytes.length === 0) return datacontenttype
  if (/^(application|text)\/([^;]+\+)?json$/.test(mediaType) || mediaType === '') {
    return { ...datacontenttype, data: parseJson(decodeText(bytes)) }
  }
  if (mediaType.startsWith('text/')) return { ...datacontenttype, data: decodeText(bytes) }
  return { ...datacontenttype, data_base64: bytes.toString('base64') }
}

/** Node reads headers as Latin-1. The binding asks for UTF-8 in percent-encoding; its own JavaScript SDK sends the text as it is. */
function decodeHeader(value: string): string {
  const bytes = Buffer.from(value, 'latin1')
  const text = (isUtf8(bytes) ? bytes.toString() : value).replaceAll(/^"|"$/g, '')
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
