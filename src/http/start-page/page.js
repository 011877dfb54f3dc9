// Shows the demo project's events as they arrive. Everything that came in an event is set as text, never as markup.
const ROWS_MAX = 50
const RECONNECT_MS = 1000

const meta = (name) => document.querySelector(`meta[name="${name}"]`).content
const projectId = meta('project-id')
const token = meta('viewer-token')
const status = document.getElementById('status')
const rows = document.getElementById('events')
let lastId = null

if (projectId) {
  document.getElementById('live').hidden = false
  connect()
} else {
  document.getElementById('quiet').hidden = false
}

function connect() {
  const url = new URL(`/v1/projects/${projectId}/live`, location.href)
  url.protocol = url.protocol.replace('http', 'ws')
  if (lastId) url.searchParams.set('after', lastId)
  const socket = new WebSocket(url, ['meterhouse.v1', `bearer.${token}`])
  socket.onopen = () => setStatus('connected')
  socket.onmessage = ({ data }) => receive(JSON.parse(data))
  socket.onclose = ({ code }) => {
    // 4001: the page's token has expired; a new page carries a new one.
    if (code === 4001) return location.reload()
    setStatus('reconnecting')
    setTimeout(connect, RECONNECT_MS)
  }
}

function receive(frame) {
  if (frame.type === 'dropped') setStatus(`${frame.count} events not shown`)
  if (frame.type !== 'event') return
  lastId = frame.id
  document.getElementById('hint').hidden = true
  const { timestamp, event, userId, anonymousId, properties } = frame.event
  const row = document.createElement('tr')
  for (const text of [
    new Date(timestamp).toLocaleTimeString(),
    event,
    userId ?? anonymousId ?? '',
    JSON.stringify(properties),
  ]) {
    const cell = document.createElement('td')
    cell.textContent = text
    row.append(cell)
  }
  rows.prepend(row)
  while (rows.children.length > ROWS_MAX) rows.lastElementChild.remove()
}

function setStatus(text) {
  status.textContent = text
  status.dataset.state = text
}
