import { connect } from 'node:net'

const HEADER_END = Buffer.from('\r\n\r\n')

export interface Connection {
  /** Sends one request; `onAnswer` is called once with its status. */
  send: (head: string, body: Buffer, onAnswer: (status: number) => void) => void
  close: () => void
}

/** The least HTTP client that can measure: one keep-alive connection, one request at a time, answers with a Content-Length. */
export function openConnection(port: number, onLost: (error: Error) => void): Promise<Connection> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  let onAnswer: ((status: number) => void) | undefined
  let held: Buffer | undefined
  let bodyLeft = 0
  let status = 0

  socket.on('data', (chunk: Buffer) => {
    if (bodyLeft === 0) {
      const bytes = held ? Buffer.concat([held, chunk]) : chunk
      const end = bytes.indexOf(HEADER_END)
      if (end === -1) {
        held = bytes
        return
      }
      held = undefined
      const header = bytes.toString('latin1', 0, end)
      status = Number(header.slice(9, 12))
      bodyLeft = Number(/content-length: *(\d+)/i.exec(header)?.[1] ?? 0) - (bytes.length - end - 4)
    } else {
      bodyLeft -= chunk.length
    }
    if (bodyLeft > 0) return
    bodyLeft = 0
    const answered = onAnswer
    onAnswer = undefined
    answered?.(status)
  })
  socket.on('error', onLost)

  return new Promise((resolve, reject) => {
    socket.once('error', reject)
    socket.once('connect', () =>
      resolve({
        send(head, body, callback) {
          onAnswer = callback
          socket.cork()
          socket.write(head, 'latin1')
          socket.write(body)
          socket.uncork()
        },
        close: () => socket.destroy(),
      }),
    )
  })
}
