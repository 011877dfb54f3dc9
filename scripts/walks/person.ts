import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'

/** What the walks share: how a person's program speaks with a running server, and reads the mail that it sends. */
export const baseUrl = () => process.env.METERHOUSE_URL ?? 'http://localhost:3000'
const MAIL_PATIENCE_MS = 30_000

interface Answer {
  status: number
  // biome-ignore lint/suspicious/noExplicitAny: each step knows what its route answers.
  body: any
}

export async function call(
  method: string,
  path: string,
  options: { token?: string; body?: object } = {},
): Promise<Answer> {
  const answer = await fetch(new URL(path, baseUrl()), {
    method,
    headers: {
      ...(options.body && { 'content-type': 'application/json' }),
      ...(options.token && { authorization: `Bearer ${options.token}` }),
    },
    ...(options.body && { body: JSON.stringify(options.body) }),
  })
  const text = await answer.text()
  const isJson = answer.headers.get('content-type')?.includes('json')
  return { status: answer.status, body: isJson ? JSON.parse(text) : text }
}

/** The same, and an end of the walk when the answer is another one than is due. */
export async function expect(status: number, ...request: Parameters<typeof call>): Promise<Answer['body']> {
  const answer = await call(...request)
  if (answer.status !== status)
    throw new Error(`${request[0]} ${request[1]}: ${answer.status} ${JSON.stringify(answer.body)}, expected ${status}`)
  return answer.body
}

/** Waits for a mail to somebody and gives the token of the link in it. */
export type ReadMail = (to: string, subject: RegExp) => Promise<string>

/** Reads the inbox that the start page links to. */
export async function findInbox(): Promise<ReadMail> {
  const page = await expect(200, 'GET', '/')
  const url = String(page).match(/href="([^"]+)">Mail inbox/)?.[1]
  if (!url) throw new Error('The start page links to no inbox: run this against npm start.')
  return (to, subject) => tokenFromMail(url, to, subject)
}

interface InboxMail {
  subject: string
  text: string
  to: { address: string }[]
}

async function tokenFromMail(inboxUrl: string, to: string, subject: RegExp): Promise<string> {
  const end = Date.now() + MAIL_PATIENCE_MS
  while (Date.now() < end) {
    const mails = (await (await fetch(new URL('/api/email', inboxUrl))).json()) as InboxMail[]
    const mail = mails.find((one) => one.to.some(({ address }) => address === to) && subject.test(one.subject))
    const token = mail?.text.match(/#token=([\w-]{43})/)?.[1]
    if (token) return token
    await delay(200)
  }
  throw new Error(`no mail to ${to} with a subject like ${subject} came within ${MAIL_PATIENCE_MS} ms`)
}

export const say = (line: string) => process.stdout.write(`${line}\n`)

export async function enter(readMail: ReadMail, name: string, organizationName?: string) {
  const email = `${name.toLowerCase()}-${randomBytes(4).toString('hex')}@example.com`
  const password = randomBytes(16).toString('base64url')
  const asked = { email, name, password, ...(organizationName && { organizationName }) }
  await expect(202, 'POST', '/v1/auth/register', { body: asked })
  const token = await readMail(email, /confirm/i)
  await expect(204, 'POST', '/v1/auth/verify-email', { body: { token } })
  const { accessToken } = await expect(200, 'POST', '/v1/auth/login', { body: { email, password } })
  say(`${name} registered, read the mail, confirmed the address and signed in`)
  return { email, token: accessToken as string }
}
