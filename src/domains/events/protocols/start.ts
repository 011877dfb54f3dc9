import { Type } from '@sinclair/typebox'
import type { StartRoute } from './foreign.ts'

const Key = Type.String({ maxLength: 200, description: 'The write key; it is given back, not checked.' })

const json = (description: string, example: Record<string, unknown>) =>
  Type.Object({}, { additionalProperties: true, description, examples: [example] })

const segmentSettings = (key: string, own: URL) => ({
  // Without a host the library would send to Segment, and with another scheme than the page's it could not send at all.
  integrations: { 'Segment.io': { apiKey: key, apiHost: `${own.host}/v1`, protocol: own.protocol.slice(0, -1) } },
  // The browser library would otherwise report measurements of itself.
  metrics: { sampleRate: 0 },
})

const rudderSource = {
  source: {
    id: 'meterhouse',
    name: 'Meterhouse',
    writeKey: '',
    enabled: true,
    workspaceId: 'meterhouse',
    destinations: [],
    dataplanes: {},
    config: { statsCollection: { errors: { enabled: false }, metrics: { enabled: false } } },
  },
}

const noFlags = { flags: {}, featureFlags: {}, featureFlagPayloads: {}, errorsWhileComputingFlags: false }
const noDefinitions = { flags: [], group_type_mapping: {}, cohorts: {} }
const posthogConfig = {
  // With this the browser library compresses in a way that needs no CORS preflight.
  supportedCompression: ['gzip', 'gzip-js'],
  hasFeatureFlags: false,
  sessionRecording: false,
  // Of surveys it must not speak at all: told that there are none, the library still loads the script that shows them.
}

/** The key is text from a URL, so it is written as JSON, whose `<` would end a script that somebody inlines. */
const posthogScript = (key: string) => {
  const name = JSON.stringify(key).replaceAll('<', '\\u003c')
  const config = JSON.stringify({ config: posthogConfig, siteApps: [] })
  return `(window._POSTHOG_REMOTE_CONFIG=window._POSTHOG_REMOTE_CONFIG||{})[${name}]=${config};`
}

/** What clients ask for before they send: whatever it is, the answer says that there is nothing but events. */
export const START_ROUTES: StartRoute[] = [
  {
    method: 'GET',
    // Where our own routes have the id of a project, Segment has its key.
    url: '/v1/projects/:projectId/settings',
    operationId: 'segmentSettings',
    summary: 'Segment: settings of the browser library',
    description: 'The browser library sends nothing before it has read them. They name no destination but this server.',
    params: Type.Object({ projectId: Key }),
    mediaType: 'application/json',
    schema: json('The settings.', segmentSettings('mh_write_…', new URL('https://events.example.com'))),
    body: segmentSettings,
  },
  {
    method: 'GET',
    url: '/sourceConfig',
    aliases: ['/sourceConfig/'],
    operationId: 'rudderSourceConfig',
    summary: 'RudderStack: configuration of the browser library',
    description: 'A source that is switched on and has no destinations in the browser.',
    mediaType: 'application/json',
    schema: json('The source.', rudderSource),
    body: () => rudderSource,
  },
  {
    method: 'POST',
    url: '/flags/',
    aliases: ['/flags', '/decide', '/decide/'],
    operationId: 'posthogFlags',
    summary: 'PostHog: feature flags',
    description: 'There are none.',
    mediaType: 'application/json',
    schema: json('No flags.', noFlags),
    body: () => noFlags,
  },
  {
    method: 'GET',
    url: '/flags/definitions',
    operationId: 'posthogFlagDefinitions',
    summary: 'PostHog: definitions of feature flags',
    description: 'There are none.',
    mediaType: 'application/json',
    schema: json('No definitions.', noDefinitions),
    body: () => noDefinitions,
  },
  {
    method: 'GET',
    url: '/array/:key/config',
    operationId: 'posthogConfig',
    summary: 'PostHog: configuration of the browser library',
    description: 'Compression that needs no preflight, and nothing but events.',
    params: Type.Object({ key: Key }),
    mediaType: 'application/json',
    schema: json('The configuration.', posthogConfig),
    body: () => posthogConfig,
  },
  {
    method: 'GET',
    url: '/array/:key/config.js',
    operationId: 'posthogConfigScript',
    summary: 'PostHog: configuration of the browser library, as a script',
    description: 'The same configuration, left where the library looks for it.',
    params: Type.Object({ key: Key }),
    mediaType: 'text/javascript; charset=utf-8',
    schema: Type.String({ description: 'The script.', examples: [posthogScript('mh_write_…')] }),
    body: posthogScript,
  },
]
