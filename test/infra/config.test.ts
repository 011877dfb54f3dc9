import { readFileSync } from 'node:fs'
import { parseEnv } from 'node:util'
import t from 'tap'
import { type Config, ConfigError, EnvironmentSchema, loadConfig } from '../../src/config.ts'

interface Variable {
  type?: string
  description?: string
  default?: unknown
  minimum?: number
  maximum?: number
}

const VARIABLES = EnvironmentSchema.properties as Record<string, Variable>
const REQUIRED = {
  METERHOUSE_POSTGRES_URL: 'postgres://meterhouse_app@localhost/meterhouse',
  METERHOUSE_CLICKHOUSE_URL: 'http://localhost:8123/meterhouse',
  METERHOUSE_REDIS_URL: 'redis://localhost',
  METERHOUSE_INGEST_REDIS_URL: 'unix:///run/redis.sock?password=secret',
  METERHOUSE_SMTP_URL: 'smtp://localhost',
}
const SECRET = 'a secret of its own, long enough to sign with'
const DEVELOPMENT = { ...REQUIRED, METERHOUSE_MODE: 'development' }

function faultsOf(environment: NodeJS.ProcessEnv): string[] {
  try {
    loadConfig(environment)
    return []
  } catch (error) {
    if (error instanceof ConfigError) return error.faults
    throw error
  }
}

t.test('every fault is listed at once, each with the name of its variable, and no value is repeated', async (t) => {
  const faulty: Record<string, string> = {
    PORT: '65536',
    METERHOUSE_MODE: 'hunter2',
    METERHOUSE_ROLES: 'api,hunter2',
    METERHOUSE_TRUST_PROXY: 'yes',
    METERHOUSE_LOG_LEVEL: 'loud',
    METERHOUSE_POSTGRES_URL: 'mysql://app:hunter2@localhost/db',
    METERHOUSE_PUBLIC_URL: 'not a URL',
    METERHOUSE_JWT_SECRET: 'hunter2',
    METERHOUSE_METRICS_TOKEN: 'hunter2',
    METERHOUSE_DEMO_PROJECT_ID: 'prj_1',
    METERHOUSE_SHARDS: '2.9',
    METERHOUSE_SHADRS: '2',
  }
  const missing = Object.keys(REQUIRED).filter((name) => !(name in faulty))
  const faults = faultsOf(faulty)
  const named = faults.map((fault) => fault.match(/^[A-Z_]+/)?.[0])
  t.same(named.sort(), [...Object.keys(faulty), ...missing].sort())
  t.notMatch(faults.filter((fault) => !fault.startsWith('METERHOUSE_ROLES')).join('\n'), 'hunter2')
  for (const name of missing) t.ok(faults.includes(`${name} is required`), name)
})

t.test('the error is one text with a line for each fault', async (t) => {
  const environment = { ...DEVELOPMENT, PORT: 'http', METERHOUSE_SHADRS: '2' }
  t.throws(() => loadConfig(environment), {
    message: /^The configuration is not valid:\n {2}- METERHOUSE_SHADRS is not a variable .*\n {2}- PORT: /,
  })
})

t.test('a number is an integer in its bounds, or its variable is named', async (t) => {
  const integers = Object.entries(VARIABLES).filter(([, { type }]) => type === 'integer')
  t.ok(integers.length > 5, 'the schema has integers')
  for (const [name, { minimum = Number.NaN, maximum = Number.NaN }] of integers) {
    for (const text of [`${minimum - 1}`, `${maximum + 1}`, `${minimum}.5`, '1e1', '0x1', 'true', 'many', '1 ']) {
      t.match(faultsOf({ ...DEVELOPMENT, [name]: text }), [new RegExp(`^${name}: `)], `${name}=${text}`)
    }
    for (const bound of [minimum, maximum]) t.same(faultsOf({ ...DEVELOPMENT, [name]: `${bound}` }), [])
  }
})

t.test('an unknown METERHOUSE_ variable is an error, what others call their variables is not', async (t) => {
  t.match(faultsOf({ ...DEVELOPMENT, METERHOUSE_MODUS: 'x' }), [/^METERHOUSE_MODUS is not a variable/])
  t.same(faultsOf({ ...DEVELOPMENT, HOME: '/', METERHOUSES: 'x', METERHOUSE_DATA: '/data', port: 'x' }), [])
  const forScripts = { METERHOUSE_URL: 'http://localhost:3000', METERHOUSE_API_KEY: 'mh_live_x' }
  t.same(faultsOf({ ...DEVELOPMENT, ...forScripts }), [], 'what npm run types reads may be set for the server too')
})

t.test('a variable that is empty is not set', async (t) => {
  t.equal(loadConfig({ ...DEVELOPMENT, PORT: '', METERHOUSE_METRICS_TOKEN: '' }).http.port, 3000)
  t.same(faultsOf({ ...DEVELOPMENT, METERHOUSE_SMTP_URL: '' }), ['METERHOUSE_SMTP_URL is required'])
})

t.test('roles are all, or the ones that are listed', async (t) => {
  t.same(loadConfig(DEVELOPMENT).roles, ['api', 'sink', 'jobs'])
  t.same(loadConfig({ ...DEVELOPMENT, METERHOUSE_ROLES: 'api, jobs' }).roles, ['api', 'jobs'])
  for (const roles of ['api,', 'everything', 'all,api', ',']) {
    t.match(faultsOf({ ...DEVELOPMENT, METERHOUSE_ROLES: roles }), [/^METERHOUSE_ROLES /], roles)
  }
})

t.test('several processes are processes of the role api', async (t) => {
  const processes = { ...DEVELOPMENT, METERHOUSE_PROCESSES: '2' }
  t.match(faultsOf({ ...processes, METERHOUSE_ROLES: 'sink,jobs' }), [/^METERHOUSE_PROCESSES /])
  for (const roles of ['all', 'api', 'api,sink']) t.same(faultsOf({ ...processes, METERHOUSE_ROLES: roles }), [])
})

t.test('production does not start with the secret that everybody knows', async (t) => {
  const published = String(VARIABLES.METERHOUSE_JWT_SECRET?.default)
  for (const environment of [REQUIRED, { ...REQUIRED, METERHOUSE_JWT_SECRET: published }]) {
    t.match(faultsOf(environment), [/^METERHOUSE_JWT_SECRET must be set/])
    t.same(faultsOf({ ...environment, METERHOUSE_MODE: 'development' }), [])
  }
  t.same(faultsOf({ ...REQUIRED, METERHOUSE_JWT_SECRET: SECRET }), [])
})

t.test('previous secrets are as long as the present one', async (t) => {
  const of = (text: string) => ({ ...DEVELOPMENT, METERHOUSE_JWT_PREVIOUS_SECRETS: text })
  const [one, two] = ['1'.repeat(32), '2'.repeat(40)]
  t.same(loadConfig(of(`${one},${two}`)).http.jwtPreviousSecrets, [one, two])
  t.same(loadConfig(DEVELOPMENT).http.jwtPreviousSecrets, [])
  for (const text of ['short', `${one},short`, `${one},`, `,${one}`]) {
    t.match(faultsOf(of(text)), [/^METERHOUSE_JWT_PREVIOUS_SECRETS: /], text)
  }
})

t.test('production does not start with a fault that somebody asked for', async (t) => {
  const asked = { METERHOUSE_FAILPOINTS: 'sink.sealed=kill@3,lease.acquired=delay:50' }
  t.match(faultsOf({ ...REQUIRED, METERHOUSE_JWT_SECRET: SECRET, ...asked }), [/^METERHOUSE_FAILPOINTS /])
  t.equal(loadConfig({ ...DEVELOPMENT, ...asked }).failpoints, asked.METERHOUSE_FAILPOINTS)
  for (const text of ['sink.sealed', 'sink.sealed=explode', 'a=kill,', 'a=kill@']) {
    t.match(faultsOf({ ...DEVELOPMENT, METERHOUSE_FAILPOINTS: text }), [/^METERHOUSE_FAILPOINTS: /], text)
  }
})

t.test('Stripe is configured as a whole, and its key travels encrypted', async (t) => {
  const key = { METERHOUSE_STRIPE_SECRET_KEY: 'sk_test_hunter2hunter2' }
  const secrets = { METERHOUSE_STRIPE_WEBHOOK_SECRETS: 'whsec_hunter2hunter2hunter2a,whsec_hunter2hunter2hunter2b' }
  const base = (url: string) => ({ METERHOUSE_STRIPE_API_BASE: url })
  t.equal(loadConfig(DEVELOPMENT).stripe, undefined)
  t.match(loadConfig({ ...DEVELOPMENT, ...key, ...secrets }).stripe, {
    livemode: false,
    webhookSecrets: ['whsec_hunter2hunter2hunter2a', 'whsec_hunter2hunter2hunter2b'],
    api: { protocol: 'https', host: 'api.stripe.com', port: 443 },
  })
  const live = { METERHOUSE_STRIPE_SECRET_KEY: 'rk_live_hunter2hunter2' }
  t.match(loadConfig({ ...DEVELOPMENT, ...live, ...secrets, ...base('http://127.0.0.1:4242') }).stripe, {
    livemode: true,
    api: { protocol: 'http', host: '127.0.0.1', port: 4242 },
  })
  const faulty: [Record<string, string>, RegExp][] = [
    [key, /^METERHOUSE_STRIPE_WEBHOOK_SECRETS is required/],
    [secrets, /^METERHOUSE_STRIPE_SECRET_KEY is required/],
    [{ ...key, METERHOUSE_STRIPE_WEBHOOK_SECRETS: 'hunter2' }, /^METERHOUSE_STRIPE_WEBHOOK_SECRETS: /],
    [{ ...secrets, METERHOUSE_STRIPE_SECRET_KEY: 'pk_test_hunter2hunter2' }, /^METERHOUSE_STRIPE_SECRET_KEY: /],
    [{ ...key, ...secrets, ...base('http://stripe.hunter2') }, /^METERHOUSE_STRIPE_API_BASE must be a URL/],
    [{ ...key, ...secrets, ...base('http://hunter2:99999') }, /^METERHOUSE_STRIPE_API_BASE must be a URL/],
  ]
  for (const [environment, expected] of faulty) {
    const faults = faultsOf({ ...DEVELOPMENT, ...environment })
    t.match(faults, [expected])
    t.notMatch(faults.join(), 'hunter2')
  }
})

t.test('production is what nobody has asked for', async (t) => {
  t.equal(loadConfig({ ...REQUIRED, METERHOUSE_JWT_SECRET: SECRET }).mode, 'production')
})

t.test('the configuration is frozen all the way down', async (t) => {
  const walk = (value: object, path: string) => {
    t.ok(Object.isFrozen(value), path)
    for (const [name, child] of Object.entries(value)) {
      if (typeof child === 'object' && child !== null) walk(child, `${path}.${name}`)
    }
  }
  const config = loadConfig(DEVELOPMENT)
  walk(config, 'config')
  t.throws(() => Object.assign(config.http, { port: 1 }), TypeError)
  t.throws(() => (config.roles as string[]).push('admin'), TypeError)
})

t.test('an environment with the required variables alone gives the documented defaults', async (t) => {
  const config: Partial<Config> = loadConfig(DEVELOPMENT)
  t.match(config, {
    processes: 1,
    http: {
      host: '127.0.0.1',
      port: 3000,
      publicUrl: 'http://localhost:3000',
      trustProxy: false,
      shutdownTimeoutMs: 8000,
      requestsPerMinute: 600,
      failedAuthenticationsPerMinute: 30,
      metricsToken: undefined,
    },
    log: { level: 'info', format: 'auto' },
    postgres: { url: REQUIRED.METERHOUSE_POSTGRES_URL, poolMax: 10 },
    mail: { from: 'Meterhouse <no-reply@localhost>' },
    ingest: {
      shards: 2,
      deduplicationWindowMs: 1_800_000,
      eventsPerSecond: 100_000,
      tailMs: 60_000,
      bufferBytesMax: 0,
    },
    sink: { flushIntervalMs: 500, batchRowsMax: 50_000 },
  })
})

t.test('every fault of a sign-in provider is named by its place, and no value of it is repeated', async (t) => {
  const faultsOfList = (list: unknown) =>
    faultsOf({ ...DEVELOPMENT, METERHOUSE_OIDC_PROVIDERS: typeof list === 'string' ? list : JSON.stringify(list) })
  const good = { id: 'corp', name: 'Corp', issuer: 'https://id.example.com', clientId: 'x', clientSecret: 'hunter2' }
  const google = { ...good, id: 'google', preset: 'google', issuer: undefined }
  t.same(faultsOfList([good, google, { ...google, id: 'github', preset: 'github' }]), [])
  t.same(faultsOfList([{ ...good, issuer: 'http://localhost:4000' }]), [])
  const endpoints = { authorization: 'http://hunter2', token: 'https://x', user: 'https://x', emails: 'https://x' }
  const faulty: [unknown, RegExp][] = [
    ['hunter2', / must be a JSON list/],
    [{ ...good }, / must be a JSON list/],
    [['hunter2'], /\/0 /],
    [[good, { ...good, clientSecret: 5 }], /\/1\/clientSecret /],
    [[{ ...good, clientSecret: undefined }], /\/0\/clientSecret /],
    [[{ ...good, id: 'Hunter2' }], /\/0\/id /],
    [[good, good], /\/1\/id /],
    [[{ ...good, issuer: undefined }], /\/0\/issuer is required/],
    [[{ ...good, issuer: 'http://hunter2.example' }], /\/0\/issuer must be a URL/],
    [[{ ...good, preset: 'hunter2' }], /\/0\/preset /],
    [[{ ...good, scopes: ['hunter2'] }], /\/0\/scopes must have openid/],
    [[{ ...google, preset: 'github', endpoints }], /\/0\/endpoints\/authorization must be a URL/],
    [[{ ...good, endpoints: { ...endpoints, authorization: 'https://x' } }], /\/0\/endpoints /],
    [[{ ...good, color: 'hunter2' }], /\/0\/color /],
  ]
  for (const [list, expected] of faulty) {
    const faults = faultsOfList(list)
    t.equal(faults.length, 1, faults.join())
    t.match(faults[0], expected)
    t.match(faults[0], /^METERHOUSE_OIDC_PROVIDERS/)
    t.notMatch(faults[0], /hunter2/i)
  }
})

/** The order of .env.example. A variable that is in no group fails the first test below. */
const GROUPS = {
  Server: [
    'PORT',
    'HOST',
    'PUBLIC_URL',
    'MODE',
    'ROLES',
    'PROCESSES',
    'TRUST_PROXY',
    'SHUTDOWN_TIMEOUT_MS',
    'FAILPOINTS',
  ],
  Secrets: ['JWT_SECRET', 'JWT_PREVIOUS_SECRETS', 'METRICS_TOKEN'],
  'Sign-in': ['OIDC_PROVIDERS'],
  Logs: ['LOG_LEVEL', 'LOG_FORMAT'],
  Postgres: ['POSTGRES_URL', 'POSTGRES_POOL_MAX', 'POSTGRES_OWNER_URL'],
  ClickHouse: ['CLICKHOUSE_URL'],
  Redis: ['REDIS_URL', 'INGEST_REDIS_URL'],
  Mail: ['SMTP_URL', 'MAIL_FROM', 'MAIL_INBOX_URL'],
  Events: [
    'SHARDS',
    'DEDUPLICATION_WINDOW_MINUTES',
    'INGEST_EVENTS_PER_SECOND',
    'SINK_FLUSH_INTERVAL_MS',
    'SINK_BATCH_ROWS_MAX',
    'BUFFER_TAIL_SECONDS',
    'BUFFER_BYTES_MAX',
  ],
  Requests: ['API_REQUESTS_PER_MINUTE', 'ORGANIZATION_REQUESTS_PER_MINUTE', 'FAILED_AUTHENTICATIONS_PER_MINUTE'],
  Organizations: ['ORGANIZATION_GRACE_DAYS'],
  Billing: [
    'DEFAULT_PLAN',
    'SELLER_NAME',
    'SELLER_ADDRESS',
    'SELLER_TAX_ID',
    'INVOICE_PREFIX',
    'CREDIT_NOTE_PREFIX',
    'INVOICE_DUE_DAYS',
    'INVOICE_GRACE_HOURS',
  ],
  Stripe: ['STRIPE_SECRET_KEY', 'STRIPE_WEBHOOK_SECRETS', 'STRIPE_API_BASE'],
  'Demo page': ['DEMO_PROJECT_ID'],
}
const INTRODUCTION = `# The configuration of Meterhouse. Copy this file to .env and set what you need.
# A variable that is commented out shows its default; an unknown METERHOUSE_ name stops the start.
# npm start runs an embedded service for every one of the five URLs below that is empty.`

const fullName = (name: string) => (name === 'PORT' ? name : `METERHOUSE_${name}`)
const example = readFileSync(new URL('../../.env.example', import.meta.url), 'utf8')

function lineOf(name: string): string {
  const { description, default: value } = VARIABLES[name] ?? {}
  // Node's reader of .env files keeps the spaces of a value only inside quotes.
  const text = value === undefined ? '' : /\s/.test(String(value)) ? `"${value}"` : String(value)
  return `# ${description}\n${name in REQUIRED ? '' : '#'}${name}=${text}`
}

t.test('.env.example names every variable once, with the description and the default of the schema', async (t) => {
  const names = Object.values(GROUPS).flat().map(fullName)
  t.same([...names].sort(), Object.keys(VARIABLES).sort(), 'every variable is in one group')
  const groups = Object.entries(GROUPS).map(([title, members]) => {
    return [`# --- ${title} ---`, ...members.map((name) => lineOf(fullName(name)))].join('\n\n')
  })
  t.equal(example, `${[INTRODUCTION, ...groups].join('\n\n\n')}\n`)
})

t.test('.env.example with the required variables filled in is the default configuration', async (t) => {
  const uncommented = parseEnv(example.replaceAll(/^#(?=[A-Z_]+=)/gm, ''))
  t.equal(Object.keys(uncommented).length, Object.keys(VARIABLES).length)
  t.same(loadConfig({ ...uncommented, ...DEVELOPMENT }), loadConfig(DEVELOPMENT))
  t.same(
    faultsOf(uncommented).sort(),
    [
      ...Object.keys(REQUIRED).map((name) => `${name} is required`),
      'METERHOUSE_JWT_SECRET must be set to a secret of its own in production mode',
    ].sort(),
  )
})
