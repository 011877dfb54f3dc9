import { type Static, Type } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'

const Text = Type.String({ minLength: 1, maxLength: 500 })

const Endpoints = Type.Object(
  { authorization: Text, token: Text, user: Text, emails: Text },
  { additionalProperties: false },
)

const Entry = Type.Object(
  {
    id: Type.String({ pattern: '^[a-z][a-z0-9-]{0,30}$' }),
    name: Type.String({ minLength: 1, maxLength: 60 }),
    preset: Type.Optional(Type.Union([Type.Literal('google'), Type.Literal('github')])),
    issuer: Type.Optional(Text),
    clientId: Text,
    clientSecret: Text,
    scopes: Type.Optional(Type.Array(Type.String({ pattern: '^[\\x21-\\x7e]+$', maxLength: 100 }), { minItems: 1 })),
    /** GitHub's own where it is absent: for an Enterprise server of one's own, and for tests. */
    endpoints: Type.Optional(Endpoints),
  },
  { additionalProperties: false },
)
type Entry = Static<typeof Entry>

interface Client {
  id: string
  name: string
  issuer: string
  clientId: string
  clientSecret: string
  scopes: string[]
}

/** Somebody else who signs people in: by OpenID Connect, or as GitHub does it. */
export type SignInProvider =
  | (Client & { protocol: 'openid' })
  | (Client & { protocol: 'github'; endpoints: Static<typeof Endpoints> })

const GOOGLE_ISSUER = 'https://accounts.google.com'
const GITHUB_ISSUER = 'https://github.com/login/oauth'
const GITHUB_ENDPOINTS = {
  authorization: 'https://github.com/login/oauth/authorize',
  token: 'https://github.com/login/oauth/access_token',
  user: 'https://api.github.com/user',
  emails: 'https://api.github.com/user/emails',
}
const LOOPBACK = new Set(['localhost', '127.0.0.1', '[::1]'])

/** Reads the list of providers. Every fault is named by its place in the list, and no value is repeated: some are secrets. */
export function readSignInProviders(text: string, fault: (where: string, what: string) => void): SignInProvider[] {
  const list = parse(text)
  if (!Array.isArray(list)) {
    fault('', 'must be a JSON list of providers')
    return []
  }
  const providers = list.flatMap((entry, index) => readEntry(entry, (path, what) => fault(`/${index}${path}`, what)))
  providers.forEach(({ id }, index) => {
    if (providers.findIndex((other) => other.id === id) < index) fault(`/${index}/id`, 'is the id of another one, too')
  })
  return providers
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function readEntry(entry: unknown, fault: (path: string, what: string) => void): SignInProvider[] {
  const errors = [...Value.Errors(Entry, entry)]
  for (const path of new Set(errors.map((error) => error.path))) {
    fault(path, errors.find((error) => error.path === path)?.message ?? 'is not valid')
  }
  if (errors.length > 0) return []
  const provider = complete(entry as Entry)
  if (provider.issuer === '') fault('/issuer', 'is required without a preset')
  else if (!isSafeUrl(provider.issuer)) fault('/issuer', NOT_SAFE)
  if (provider.protocol === 'openid') {
    if (!provider.scopes.includes('openid')) fault('/scopes', 'must have openid among them')
    if ((entry as Entry).endpoints) fault('/endpoints', 'is for the preset github')
  } else {
    for (const [name, url] of Object.entries(provider.endpoints))
      if (!isSafeUrl(url)) fault(`/endpoints/${name}`, NOT_SAFE)
  }
  return [provider]
}

function complete({ preset, issuer, scopes, endpoints = GITHUB_ENDPOINTS, ...client }: Entry): SignInProvider {
  if (preset === 'github') {
    const scopesOrDefault = scopes ?? ['read:user', 'user:email']
    return { ...client, protocol: 'github', issuer: issuer ?? GITHUB_ISSUER, scopes: scopesOrDefault, endpoints }
  }
  const named = issuer ?? (preset === 'google' ? GOOGLE_ISSUER : '')
  return { ...client, protocol: 'openid', issuer: named, scopes: scopes ?? ['openid', 'email', 'profile'] }
}

const NOT_SAFE = 'must be a URL that starts with https://, or with http:// on this very machine'

/** What is sent there proves who somebody is, so nobody on the way may read or change it. */
function isSafeUrl(text: string): boolean {
  if (!URL.canParse(text)) return false
  const { protocol, hostname } = new URL(text)
  return protocol === 'https:' || (protocol === 'http:' && LOOPBACK.has(hostname))
}
