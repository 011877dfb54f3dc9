import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { openLink } from '../../scripts/faults/proxy.ts'
import { eventually } from '../helpers/app.ts'

/** A service that answers each chunk with itself, behind a link, and one client of it. */
async function start(t: Test) {
  const received: string[] = []
  const echo = createServer((socket) => {
    socket.on('error', () => {})
    socket.on('data', (chunk) => {
      received.push(chunk.toString())
      socket.write(`echo ${chunk}`)
    })
  })
  echo.listen(0, '127.0.0.1')
  await once(echo, 'listening')
  const link = await openLink('test', { host: '127.0.0.1', port: (echo.address() as { port: number }).port })
  const clients: Socket[] = []
  t.teardown(() => {
    for (const client of clients) client.destroy()
    link.close()
    echo.close()
  })
  const dial = async () => {
    const socket = connect(link.port, '127.0.0.1')
    const client = { socket, answers: '', isOver: false }
    clients.push(socket)
    socket.on('data', (chunk) => {
      client.answers += chunk
    })
    socket.on('error', () => {})
    socket.on('close', () => {
      client.isOver = true
    })
    await once(socket, 'connect')
    return client
  }
  return { link, received, dial, at: () => received.join('') }
}

t.test('a clear link passes everything on', async (t) => {
  const { dial } = await start(t)
  const client = await dial()
  client.socket.write('ping')
  await eventually('the echo', async () => client.answers === 'echo ping')
})

t.test('a link that swallows answers lets requests arrive', async (t) => {
  const { link, dial, at } = await start(t)
  const client = await dial()
  link.setWeather({ kind: 'swallow' })
  client.socket.write('ping')
  await eventually('the request', async () => at() === 'ping')
  link.setWeather({ kind: 'clear' })
  await eventually('the end of a connection that has lost bytes', async () => client.isOver)
  t.equal(client.answers, '')
})

t.test('a link that cuts passes exactly so many bytes', async (t) => {
  const { link, dial, at } = await start(t)
  link.setWeather({ kind: 'cut', afterBytes: 6 })
  const client = await dial()
  client.socket.write('1234')
  await eventually('the first chunk', async () => at() === '1234')
  client.socket.write('5678')
  await eventually('the cut', async () => client.isOver)
  await eventually('the rest', async () => at() === '123456')
})

t.test('bytes keep their order while latency comes and goes', async (t) => {
  const { link, dial, at } = await start(t)
  const client = await dial()
  link.setWeather({ kind: 'latency', ms: 100 })
  client.socket.write('first ')
  const answered = eventually('both', async () => at() === 'first second')
  await new Promise((resolve) => setTimeout(resolve, 30))
  link.setWeather({ kind: 'clear' })
  client.socket.write('second')
  await answered
  await eventually('the answers', async () => client.answers.replaceAll('echo ', '') === 'first second')
})

t.test('a trap acts once, at its moment, and what it drops does not arrive', async (t) => {
  const { link, dial, at } = await start(t)
  const client = await dial()
  const sprung = link.trap({ request: (chunk) => chunk.includes('mine'), moment: 'reply', act: () => 'drop' }, 10_000)
  client.socket.write('other')
  await eventually('the echo of another request', async () => client.answers === 'echo other')
  client.socket.write('mine')
  t.equal(await sprung, true)
  await eventually('the end', async () => client.isOver)
  t.equal(client.answers, 'echo other')
  t.equal(at(), 'othermine', 'the request had arrived')

  const next = await dial()
  next.socket.write('mine')
  await eventually('the echo, as the trap is gone', async () => next.answers === 'echo mine')
  t.equal(await link.trap({ request: () => true, moment: 'head', act: () => 'drop' }, 1), false, 'nothing came in time')
})
