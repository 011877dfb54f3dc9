export interface Credentials {
  email: string
  password: string
  organizationId: string
  projectId: string
  writeKey: string
  apiKey: string
}

export interface ScreenFacts {
  baseUrl: string
  mailUrl: string | undefined
  credentials: Credentials | undefined
  /** Where the credentials are kept. */
  credentialsFile: string | undefined
  dataDirectory: string
  elapsedMs: number
  /** Lines worth knowing: another port than asked for, credentials that are lost. */
  notes: readonly string[]
}

/** The text that greets whoever started the product, with commands that work when pasted. */
export function renderScreen(facts: ScreenFacts, hasColors: boolean): string {
  const paint = painter(hasColors)
  const row = (name: string, value: string) => `  ${paint.dim(name.padEnd(13))}${value}`
  const { baseUrl, mailUrl, credentials } = facts
  const lines = [
    '',
    `  ${paint.bold('Meterhouse')} is ready ${paint.dim(`in ${(facts.elapsedMs / 1000).toFixed(1)} s`)}`,
    '',
    row('App', paint.cyan(baseUrl)),
    row('API docs', paint.cyan(`${baseUrl}/docs`)),
    ...(mailUrl ? [row('Mail inbox', paint.cyan(mailUrl))] : []),
    ...(credentials ? credentialLines(baseUrl, credentials, row, paint) : ['']),
    ...facts.notes.map((note) => `  ${paint.yellow('!')} ${note}`),
    ...(credentials ? [`  ${paint.dim(`Kept in ${facts.credentialsFile}`)}`] : []),
    `  ${paint.dim(`Data in ${facts.dataDirectory}. Ctrl-C stops everything.`)}`,
    '',
  ]
  return lines.join('\n')
}

/** Colors only for eyes: on a terminal, unless the user asked for none (https://no-color.org). */
export function wantsColors(stream: NodeJS.WriteStream, environment: NodeJS.ProcessEnv): boolean {
  return stream.isTTY === true && !environment.NO_COLOR && environment.TERM !== 'dumb'
}

type Paint = ReturnType<typeof painter>
type Row = (name: string, value: string) => string

function credentialLines(baseUrl: string, credentials: Credentials, row: Row, paint: Paint): string[] {
  const { email, password, writeKey, apiKey, projectId } = credentials
  const command = (path: string, key: string, body: string) => [
    '',
    `  curl ${baseUrl}${path} \\`,
    `    -H 'authorization: Bearer ${key}' \\`,
    `    -H 'content-type: application/json' \\`,
    `    -d '${body}'`,
    '',
  ]
  // The times are worked out by the shell when the lines are pasted, the same way on Linux and macOS.
  const lastHour = `"from":'$(( ($(date +%s)-3600)*1000 ))',"to":'$(( ($(date +%s)+60)*1000 ))'`
  return [
    '',
    row('Sign in', `${email}  ${password}`),
    row('Write key', writeKey),
    row('API key', apiKey),
    '',
    `  ${paint.dim('Send an event:')}`,
    ...command('/v1/events', writeKey, '{"event":"Signed up","userId":"user_1","properties":{"plan":"pro"}}'),
    `  ${paint.dim('Count the last hour:')}`,
    ...command(
      `/v1/projects/${projectId}/query`,
      apiKey,
      `{"kind":"trend",${lastHour},"interval":"hour","series":[{"math":"count"}]}`,
    ),
  ]
}

function painter(hasColors: boolean) {
  const code = (open: number, close: number) => (text: string) =>
    hasColors ? `\u001b[${open}m${text}\u001b[${close}m` : text
  return { bold: code(1, 22), dim: code(2, 22), cyan: code(36, 39), yellow: code(33, 39) }
}
