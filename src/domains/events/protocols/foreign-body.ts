import { Readable } from 'node:stream'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { decodeText, parseJson, readBody } from '../body.ts'

/**
 * Makes the scope read bodies of every content type as JSON. Foreign clients do not say what they send: gzip comes as a form or as
 * plain text, JSON as plain text so that a browser asks no permission first.
 */
export function readForeignBodies(app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', async (request: FastifyRequest, payload: Readable) => {
    const bytes = await readBody(payload, request.headers['content-encoding'] ?? 'identity')
    const decoded = isGzip(bytes) ? await readBody(Readable.from([bytes]), 'gzip') : bytes
    return parseJson(fromForm(decodeText(decoded)))
  })
}

const isGzip = (bytes: Buffer) => bytes[0] === 0x1f && bytes[1] === 0x8b

/** PostHog's beacons are a form with one field, `data`, which holds JSON or the base64 of it. */
function fromForm(text: string): string {
  if (!text.startsWith('data=')) return text
  return decodeData(new URLSearchParams(text).get('data') ?? '')
}

/** JSON that a field of a form or of a query string holds as it is or in base64. */
export function decodeData(data: string): string {
  // A plus sign that was not escaped has become a blank, which base64 does not have.
  return /^\s*[[{]/.test(data) ? data : Buffer.from(data.replaceAll(' ', '+'), 'base64').toString()
}
