import { createServer, type Socket } from 'node:net'
import type { Test } from 'tap'
import { eventually } from './app.ts'

export interface ReceivedMail {
  to: string
  subject: string
  messageId: string
  /** All of it, decoded. */
  text: string
}

export type TestMailbox = Awaited<ReturnType<typeof startTestMailbox>>

/** A mail server that takes mail and keeps it, and refuses as many as it is told to. */
export async function startTestMailbox(t: Test) {
  const mails: ReceivedMail[] = []
  const state = { refusals: 0, refused: 0 }
  const server = createServer((socket) => speak(socket, state, (mail) => mails.push(mail)))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const sockets = new Set<Socket>()
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  t.teardown(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  const address = server.address()
  const port = typeof address === 'object' && address ? address.port : 0
  const to = (email: string) => mails.filter((mail) => mail.to.toLowerCase() === email.toLowerCase())
  const about = (email: string, subject: RegExp) => to(email).filter((mail) => subject.test(mail.subject))
  return {
    url: `smtp://127.0.0.1:${port}`,
    mails,
    to,
    state,
    about,
    /** The n-th mail to an address, of those about one subject where it is given, when it is there. */
    next: (email: string, count = 1, subject = /./) =>
      eventually(`mail ${count} to ${email}`, async () => about(email, subject)[count - 1]),
  }
}

/** The token of the link in a mail. */
export const tokenIn = ({ text }: ReceivedMail): string => text.match(/#token=([\w-]{43})/)?.[1] ?? ''

function speak(
  socket: Socket,
  state: { refusals: number; refused: number },
  deliver: (mail: ReceivedMail) => void,
): void {
  let [buffer, to, inData] = ['', '', false]
  const say = (line: string) => socket.write(`${line}\r\n`)
  socket.on('error', () => socket.destroy())
  socket.on('data', (chunk) => {
    buffer += chunk.toString('utf8')
    for (;;) {
      const mark = inData ? '\r\n.\r\n' : '\r\n'
      const end = buffer.indexOf(mark)
      if (end < 0) return
      const part = buffer.slice(0, end)
      buffer = buffer.slice(end + mark.length)
      if (inData) {
        inData = false
        deliver(readMail(to, part))
        say('250 taken')
      } else if (/^RCPT/i.test(part)) {
        to = part.match(/<(.*)>/)?.[1] ?? ''
        say('250 ok')
      } else if (/^DATA/i.test(part)) {
        if (state.refusals > 0) {
          state.refusals--
          state.refused++
          say('451 not now')
        } else {
          inData = true
          say('354 go on')
        }
      } else say(/^QUIT/i.test(part) ? '221 bye' : '250 ok')
    }
  })
  say('220 test')
}

function readMail(to: string, raw: string): ReceivedMail {
  const decoded = raw
    .replace(/=\r\n/g, '')
    .replace(/=([0-9A-F]{2})/g, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16)))
  const header = (name: string) => raw.match(new RegExp(`^${name}: (.*)$`, 'im'))?.[1]?.trim() ?? ''
  return { to, subject: header('Subject'), messageId: header('Message-ID'), text: decoded }
}
