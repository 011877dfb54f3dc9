import { type Static, Type } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import { BILLING_VARIABLES, groupBilling } from './billing-environment.ts'
import { readSignInProviders, type SignInProvider } from './sign-in-providers.ts'
import { readStripeAccount, STRIPE_VARIABLES, type StripeAccount } from './stripe-account.ts'

const DEVELOPMENT_JWT_SECRET = 'development-only-secret-do-not-use'

const integer = (defaultValue: number, minimum: number, maximum: number, description: string) =>
  Type.Integer({ default: defaultValue, minimum, maximum, description })

/** The environment, variable by variable. The descriptions are the reference; `.env.example` is tested against this object. */
export const EnvironmentSchema = Type.Object(
  {
    PORT: integer(3000, 0, 65535, 'Port of the HTTP server; 0 takes any free one.'),
    METERHOUSE_HOST: Type.String({
      default: '127.0.0.1',
      description: 'Address to listen on; 0.0.0.0 in a container.',
    }),
    METERHOUSE_PUBLIC_URL: Type.Optional(
      Type.String({ description: 'Where people reach this server, for links. Default: host and port.' }),
    ),
    METERHOUSE_MODE: Type.Union([Type.Literal('production'), Type.Literal('development')], {
      default: 'production',
      description:
        'development relaxes the checks on secrets and shows the demo page; npm start sets it when it embeds a service.',
    }),
    METERHOUSE_ROLES: Type.String({
      default: 'all',
      description: 'all, or a comma-separated list of api, sink, jobs.',
    }),
    METERHOUSE_PROCESSES: integer(
      1,
      1,
      64,
      'Processes of the role api on one port. From 2 on, the other roles share one process more.',
    ),
    METERHOUSE_FAILPOINTS: Type.String({
      default: '',
      pattern: '^([a-z.-]+=(kill|stop|error|delay)(:[0-9]+)?(@[0-9]+)?(,(?!$)|$))*$',
      description: 'Faults at named places of the code, for npm run faults; development mode only. name=kill@3,…',
    }),
    METERHOUSE_TRUST_PROXY: Type.Boolean({
      default: false,
      description: 'true behind a proxy that sets X-Forwarded-For.',
    }),
    METERHOUSE_LOG_LEVEL: Type.Union(
      ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'].map((level) => Type.Literal(level)),
      { default: 'info', description: 'Least severe level that is logged.' },
    ),
    METERHOUSE_LOG_FORMAT: Type.Union([Type.Literal('auto'), Type.Literal('json'), Type.Literal('pretty')], {
      default: 'auto',
      description: 'auto is pretty on a terminal and JSON lines elsewhere.',
    }),
    METERHOUSE_POSTGRES_URL: Type.String({ description: 'postgres://… as the role meterhouse_app.' }),
    METERHOUSE_POSTGRES_POOL_MAX: integer(10, 1, 200, 'Largest number of Postgres connections of one process.'),
    METERHOUSE_POSTGRES_OWNER_URL: Type.Optional(
      Type.String({ description: 'postgres://… as the role meterhouse_owner; read by npm run migrate only.' }),
    ),
    METERHOUSE_CLICKHOUSE_URL: Type.String({ description: 'http(s)://user:password@host:port/database.' }),
    METERHOUSE_REDIS_URL: Type.String({
      description: 'redis://, rediss:// or unix:///path/redis.sock?password=…; limits and live data.',
    }),
    METERHOUSE_INGEST_REDIS_URL: Type.String({
      description: 'Redis of the event buffer: appendonly yes, appendfsync always, noeviction.',
    }),
    METERHOUSE_SMTP_URL: Type.String({ description: 'smtp:// or smtps://user:password@host:port.' }),
    METERHOUSE_MAIL_FROM: Type.String({
      default: 'Meterhouse <no-reply@localhost>',
      description: 'Sender of every email.',
    }),
    METERHOUSE_MAIL_INBOX_URL: Type.Optional(
      Type.String({ description: 'Web page of a development mail inbox, linked from the start page.' }),
    ),
    METERHOUSE_JWT_SECRET: Type.String({
      default: DEVELOPMENT_JWT_SECRET,
      minLength: 32,
      description: 'Signs access tokens; at least 32 characters, its own value in production.',
    }),
    METERHOUSE_JWT_PREVIOUS_SECRETS: Type.String({
      default: '',
      pattern: '^([^,]{32,}(,(?!$)|$))*$',
      description: 'Earlier secrets, comma-separated: what they signed or sealed is good while they are listed.',
    }),
    METERHOUSE_METRICS_TOKEN: Type.Optional(
      Type.String({
        minLength: 16,
        description: 'Bearer token of GET /metrics. Without it only loopback is answered.',
      }),
    ),
    METERHOUSE_OIDC_PROVIDERS: Type.String({
      default: '[]',
      description:
        'JSON list of { id, name, preset (google or github) or issuer, clientId, clientSecret, scopes }. An id is in use for good.',
    }),
    ...STRIPE_VARIABLES,
    METERHOUSE_DEMO_PROJECT_ID: Type.Optional(
      Type.String({
        pattern: '^prj_[0-9a-z]{26}$',
        description: 'Project shown live on the start page in development mode.',
      }),
    ),
    METERHOUSE_SHARDS: integer(2, 1, 256, 'Shards of the event buffer. Drain the buffer before changing it.'),
    METERHOUSE_DEDUPLICATION_WINDOW_MINUTES: integer(30, 1, 1440, 'How long the door remembers a messageId at least.'),
    METERHOUSE_INGEST_EVENTS_PER_SECOND: integer(100_000, 1, 10_000_000, 'Most events of an organization in a second.'),
    METERHOUSE_API_REQUESTS_PER_MINUTE: integer(600, 1, 1_000_000, 'Limit of one credential on every other route.'),
    METERHOUSE_ORGANIZATION_REQUESTS_PER_MINUTE: integer(
      6000,
      1,
      100_000_000,
      'Limit of all credentials of one organization together, on the same routes.',
    ),
    METERHOUSE_FAILED_AUTHENTICATIONS_PER_MINUTE: integer(
      30,
      1,
      1_000_000,
      'Wrong credentials from one address, with no good one between, after which a process turns it away for a while.',
    ),
    METERHOUSE_SINK_FLUSH_INTERVAL_MS: integer(500, 10, 60_000, 'Longest time that the sink gathers a batch.'),
    METERHOUSE_SINK_BATCH_ROWS_MAX: integer(50_000, 1, 50_000, 'Most rows in one ClickHouse insert.'),
    METERHOUSE_BUFFER_TAIL_SECONDS: integer(60, 0, 3600, 'Seconds that stored entries stay, for live resume.'),
    METERHOUSE_BUFFER_BYTES_MAX: integer(
      0,
      0,
      2 ** 50,
      'Memory of the event buffer from whose 60 % on requests are refused; 0 takes the maxmemory of its Redis.',
    ),
    METERHOUSE_ORGANIZATION_GRACE_DAYS: integer(
      30,
      1,
      365,
      'Days from the request to delete an organization to its deletion; until then an owner can take it back.',
    ),
    ...BILLING_VARIABLES,
    METERHOUSE_SHUTDOWN_TIMEOUT_MS: integer(
      8000,
      100,
      120_000,
      'Longest graceful stop before the process exits anyway.',
    ),
  },
  { additionalProperties: false },
)
type Environment = Static<typeof EnvironmentSchema>

export const ROLES = ['api', 'sink', 'jobs'] as const
export type Role = (typeof ROLES)[number]

/** Read by the launcher, the container or a script only (the last two by npm run types), never by the server. */
const LAUNCHER_VARIABLES = new Set(['METERHOUSE_DATA', 'METERHOUSE_URL', 'METERHOUSE_API_KEY'])

const URL_PROTOCOLS: Record<string, string[]> = {
  METERHOUSE_PUBLIC_URL: ['http:', 'https:'],
  METERHOUSE_POSTGRES_URL: ['postgres:', 'postgresql:'],
  METERHOUSE_POSTGRES_OWNER_URL: ['postgres:', 'postgresql:'],
  METERHOUSE_CLICKHOUSE_URL: ['http:', 'https:'],
  METERHOUSE_REDIS_URL: ['redis:', 'rediss:', 'unix:'],
  METERHOUSE_INGEST_REDIS_URL: ['redis:', 'rediss:', 'unix:'],
  METERHOUSE_SMTP_URL: ['smtp:', 'smtps:'],
  METERHOUSE_MAIL_INBOX_URL: ['http:', 'https:'],
}

/** Thrown once with every fault of the environment; each line begins with the variable's name. */
export class ConfigError extends Error {
  override name = 'ConfigError'
  readonly faults: string[]

  constructor(faults: string[]) {
    super(`The configuration is not valid:\n${faults.map((fault) => `  - ${fault}`).join('\n')}`)
    this.faults = faults
  }
}

export type { SignInProvider } from './sign-in-providers.ts'
export type { StripeAccount } from './stripe-account.ts'

export type Config = ReturnType<typeof group>

/** Reads and checks the environment. Throws ConfigError naming every fault; the result is frozen all the way down. */
export function loadConfig(source: NodeJS.ProcessEnv = process.env): Config {
  const raw: Record<string, unknown> = {}
  const faults: string[] = []
  for (const [name, value] of Object.entries(source)) {
    if (name !== 'PORT' && !name.startsWith('METERHOUSE_')) continue
    if (LAUNCHER_VARIABLES.has(name) || value === undefined || value === '') continue
    if (name in EnvironmentSchema.properties) raw[name] = readValue(name, value)
    else faults.push(`${name} is not a variable that Meterhouse knows`)
  }
  const candidate = Value.Default(EnvironmentSchema, raw)
  const faulty = new Set<string>()
  for (const error of Value.Errors(EnvironmentSchema, candidate)) {
    const name = error.path.slice(1)
    if (faulty.has(name)) continue
    faulty.add(name)
    faults.push(raw[name] === undefined ? `${name} is required` : `${name}: ${describe(name, error.message)}`)
  }
  for (const [name, protocols] of Object.entries(URL_PROTOCOLS)) {
    const value = raw[name]
    if (typeof value !== 'string') continue
    const protocol = URL.canParse(value) ? new URL(value).protocol : undefined
    if (!protocol || !protocols.includes(protocol)) {
      faults.push(`${name} must be a URL that starts with ${protocols.map((p) => `${p}//`).join(' or ')}`)
    }
  }
  const environment = candidate as Environment
  const roles = parseRoles(environment.METERHOUSE_ROLES, faults)
  if (environment.METERHOUSE_MODE === 'production' && environment.METERHOUSE_JWT_SECRET === DEVELOPMENT_JWT_SECRET) {
    faults.push('METERHOUSE_JWT_SECRET must be set to a secret of its own in production mode')
  }
  if (environment.METERHOUSE_PROCESSES > 1 && !roles.includes('api')) {
    faults.push('METERHOUSE_PROCESSES multiplies the role api, which METERHOUSE_ROLES does not name')
  }
  if (environment.METERHOUSE_MODE === 'production' && environment.METERHOUSE_FAILPOINTS !== '') {
    faults.push('METERHOUSE_FAILPOINTS makes the process fail on purpose and is taken in development mode only')
  }
  const signInProviders = readSignInProviders(environment.METERHOUSE_OIDC_PROVIDERS, (where, what) =>
    faults.push(`METERHOUSE_OIDC_PROVIDERS${where} ${what}`),
  )
  const stripe = readStripeAccount(environment, (fault) => faults.push(fault))
  if (faults.length > 0) throw new ConfigError(faults)
  return deepFreeze(group(environment, roles, signInProviders, stripe))
}

/** The text as the type of its variable, or as it is for the check to complain about: 2.9 is not 2, and yes is not true. */
function readValue(name: string, text: string): unknown {
  const { type } = EnvironmentSchema.properties[name as keyof Environment]
  if (type === 'integer' && /^-?\d+$/.test(text)) return Number(text)
  if (type === 'boolean' && (text === 'true' || text === 'false')) return text === 'true'
  return text
}

function describe(name: string, message: string): string {
  const schema = EnvironmentSchema.properties[name as keyof Environment] as { anyOf?: { const: string }[] }
  if (schema.anyOf) return `Expected one of ${schema.anyOf.map((option) => option.const).join(', ')}`
  return message
}

function parseRoles(text: string, faults: string[]): Role[] {
  if (text === 'all') return [...ROLES]
  const roles = text.split(',').map((role) => role.trim())
  const unknown = roles.filter((role) => !ROLES.includes(role as Role))
  if (unknown.length > 0)
    faults.push(`METERHOUSE_ROLES must be all or a list of ${ROLES.join(', ')}; not ${unknown.join(', ')}`)
  return roles as Role[]
}

function group(env: Environment, roles: Role[], signInProviders: SignInProvider[], stripe: StripeAccount | undefined) {
  return {
    mode: env.METERHOUSE_MODE,
    roles,
    processes: env.METERHOUSE_PROCESSES,
    failpoints: env.METERHOUSE_FAILPOINTS,
    http: {
      host: env.METERHOUSE_HOST,
      port: env.PORT,
      publicUrl: env.METERHOUSE_PUBLIC_URL ?? `http://localhost:${env.PORT}`,
      trustProxy: env.METERHOUSE_TRUST_PROXY,
      shutdownTimeoutMs: env.METERHOUSE_SHUTDOWN_TIMEOUT_MS,
      requestsPerMinute: env.METERHOUSE_API_REQUESTS_PER_MINUTE,
      organizationRequestsPerMinute: env.METERHOUSE_ORGANIZATION_REQUESTS_PER_MINUTE,
      failedAuthenticationsPerMinute: env.METERHOUSE_FAILED_AUTHENTICATIONS_PER_MINUTE,
      metricsToken: env.METERHOUSE_METRICS_TOKEN,
      jwtSecret: env.METERHOUSE_JWT_SECRET,
      jwtPreviousSecrets: env.METERHOUSE_JWT_PREVIOUS_SECRETS.split(',').filter((secret) => secret !== ''),
    },
    log: { level: env.METERHOUSE_LOG_LEVEL, format: env.METERHOUSE_LOG_FORMAT },
    postgres: {
      url: env.METERHOUSE_POSTGRES_URL,
      poolMax: env.METERHOUSE_POSTGRES_POOL_MAX,
      ownerUrl: env.METERHOUSE_POSTGRES_OWNER_URL,
    },
    clickhouse: { url: env.METERHOUSE_CLICKHOUSE_URL },
    redis: { url: env.METERHOUSE_REDIS_URL, ingestUrl: env.METERHOUSE_INGEST_REDIS_URL },
    mail: { smtpUrl: env.METERHOUSE_SMTP_URL, from: env.METERHOUSE_MAIL_FROM, inboxUrl: env.METERHOUSE_MAIL_INBOX_URL },
    ...groupBilling(env),
    organizationGraceMs: env.METERHOUSE_ORGANIZATION_GRACE_DAYS * 86_400_000,
    signInProviders,
    stripe,
    demoProjectId: env.METERHOUSE_DEMO_PROJECT_ID,
    ingest: {
      shards: env.METERHOUSE_SHARDS,
      deduplicationWindowMs: env.METERHOUSE_DEDUPLICATION_WINDOW_MINUTES * 60_000,
      eventsPerSecond: env.METERHOUSE_INGEST_EVENTS_PER_SECOND,
      tailMs: env.METERHOUSE_BUFFER_TAIL_SECONDS * 1000,
      bufferBytesMax: env.METERHOUSE_BUFFER_BYTES_MAX,
    },
    sink: { flushIntervalMs: env.METERHOUSE_SINK_FLUSH_INTERVAL_MS, batchRowsMax: env.METERHOUSE_SINK_BATCH_ROWS_MAX },
  }
}

function deepFreeze<T extends object>(value: T): T {
  for (const child of Object.values(value)) if (typeof child === 'object' && child !== null) deepFreeze(child)
  return Object.freeze(value)
}
