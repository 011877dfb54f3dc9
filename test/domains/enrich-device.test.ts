import t from 'tap'
import { browser, CHROME, cpuMsOf, enrich, server } from '../helpers/enrich.ts'

const IPHONE =
  'Mozilla/5.0 (iPhone; CPU iPhone OS 17_5_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1'
const MAC =
  'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4.1 Safari/605.1.15'
const IPAD = IPHONE.replace('iPhone; CPU iPhone OS', 'iPad; CPU OS')
const TV =
  'Mozilla/5.0 (SMART-TV; Linux; Tizen 5.0) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/2.2 Chrome/63.0.3239.84 TV Safari/537.36'
const GOOGLEBOT = 'Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)'
const HEADLESS = CHROME.replace('Chrome/', 'HeadlessChrome/')

t.test('browser, system and kind of device are read from the user agent', async (t) => {
  const cases: [agent: string, browser: string, version: string, os: string, osVersion: string, type: string][] = [
    [CHROME, 'Chrome', '126', 'Windows', '10', 'desktop'],
    [IPHONE, 'Safari', '17', 'iOS', '17.5', 'mobile'],
    [IPAD, 'Safari', '17', 'iOS', '17.5', 'tablet'],
    [MAC, 'Safari', '17', 'macOS', '10.15', 'desktop'],
    [TV, 'Samsung Internet for Android', '2', 'Tizen', '5.0', 'tv'],
    [GOOGLEBOT, 'Googlebot', '2', '', '', 'bot'],
    ['Mozilla/5.0 (Toaster; U) Bread/3.1', '', '', '', '', 'other'],
    ['', 'Chrome', '126', 'Windows', '10', 'desktop'],
  ]
  for (const [userAgent, name, browserVersion, os, osVersion, deviceType] of cases) {
    const expected = { browser: name, browserVersion, os, osVersion, deviceType }
    t.match(enrich({ userAgent }), expected, userAgent)
    t.match(enrich({ $raw_user_agent: userAgent }), expected, userAgent)
  }
})

t.test('the user agent of a server that sends for its users is no device', async (t) => {
  const nothing = { browser: '', os: '', deviceType: '', isBot: false, botSignals: '' }
  t.match(enrich({}, { sender: server() }), nothing)
  t.match(enrich(undefined, { sender: server() }), nothing)
  t.match(enrich({ userAgent: IPHONE }, { sender: server() }), { deviceType: 'mobile', isBot: false })
})

t.test('a native app describes its device in the context', async (t) => {
  const context = {
    library: { name: 'analytics-react-native' },
    os: { name: 'Android', version: '14.0.1' },
    device: { type: 'android' },
  }
  const expected = { os: 'Android', osVersion: '14.0', deviceType: 'mobile', browser: '', isBot: false }
  t.match(enrich(context, { sender: server() }), expected)
  t.match(enrich({ ...context, userAgent: 'okhttp/4.9.2' }, { sender: server() }), expected)
})

t.test('a robot is marked by its name, and by two signals that do not need its name', async (t) => {
  const signalsOf = (context: unknown, sender = browser()) => {
    const { isBot, botSignals } = enrich(context, { sender })
    t.equal(isBot, botSignals !== '')
    return botSignals
  }
  t.equal(signalsOf({}), '')
  t.equal(signalsOf({ userAgent: GOOGLEBOT }), 'userAgent')
  t.equal(signalsOf({ userAgent: HEADLESS }, server()), 'userAgent')
  t.equal(signalsOf({ webdriver: true }), 'automation')
  t.equal(signalsOf({ webdriver: false, userAgentData: { brands: [{ brand: 'Chromium' }, null, 5] } }), '')
  t.equal(signalsOf({ userAgentData: { brands: [{ brand: 'HeadlessChrome', version: '126' }] } }), 'automation')
  t.equal(signalsOf({ $browser_type: 'bot' }), 'automation')
  t.equal(signalsOf({}, browser({ 'accept-language': undefined })), 'headers')
  t.equal(signalsOf({}, browser({ 'accept-language': '*' })), 'headers')
  t.equal(signalsOf({ webdriver: true, userAgent: GOOGLEBOT }), 'userAgent+automation')
  t.equal(
    signalsOf({ webdriver: true }, browser({ 'user-agent': HEADLESS, 'accept-language': undefined })),
    'userAgent+automation+headers',
  )
})

t.test('client hints speak against a user agent only where they contradict it', async (t) => {
  const hints = (brands: string, platform: string) => ({ 'sec-ch-ua': brands, 'sec-ch-ua-platform': platform })
  const ours = '"Not/A)Brand";v="8", "Chromium";v="126", "Google Chrome";v="126"'
  const cases: [headers: Record<string, string>, isBot: boolean][] = [
    [{}, false],
    [hints(ours, '"Windows"'), false],
    [hints(ours, '"Something New"'), false],
    [hints(ours, '"Linux"'), true],
    [hints(ours.replaceAll('126', '99'), '"Windows"'), true],
    [hints('"HeadlessChrome";v="126"', '"Windows"'), true],
    [{ ...hints(ours, '"macOS"'), 'user-agent': MAC.replace('Version/17.4.1', 'Chrome/126.0.0.0') }, false],
  ]
  for (const [headers, isBot] of cases) {
    t.equal(enrich({}, { sender: browser(headers) }).isBot, isBot, JSON.stringify(headers))
  }
})

t.test('headers of a relay say nothing about the user whose agent it passes on', async (t) => {
  const relay = browser({ 'accept-language': undefined })
  t.equal(enrich({ userAgent: IPHONE }, { sender: relay }).botSignals, '')
  t.equal(enrich({ userAgent: CHROME }, { sender: relay }).botSignals, 'headers', 'its own is judged')
})

t.test('a user agent made to hurt is read within bounds', async (t) => {
  const tails = [
    'a'.repeat(50_000),
    'Android 1.'.repeat(5000),
    ' '.repeat(50_000),
    '('.repeat(50_000),
    '/1 '.repeat(17_000),
  ]
  for (const tail of tails) {
    const userAgent = `Mozilla/5.0 ${tail}`
    const cpuMs = cpuMsOf(() => enrich({ userAgent }))
    t.ok(cpuMs < 50, `${tail.slice(0, 10)}… took ${cpuMs} ms`)
    const { browser: name, os, osVersion } = enrich({ userAgent })
    t.ok(name.length <= 64 && os.length <= 64 && osVersion.length <= 64)
  }
})

t.test('what lies beyond the length of any real user agent is not read', async (t) => {
  t.equal(enrich({ userAgent: `${CHROME} ${'x'.repeat(800)} Googlebot` }).isBot, true)
  t.equal(enrich({ userAgent: `${CHROME} ${'x'.repeat(1000)} Googlebot` }).isBot, false)
})

t.test('values of an unexpected kind say nothing', async (t) => {
  const odd = [null, 5, 'x', true, [], [1], {}, { name: null }, { url: 5 }]
  for (const value of odd) {
    const names = ['ip', 'userAgent', 'page', 'campaign', 'os', 'device', 'library', 'userAgentData', '$ip', '$lib']
    const context = Object.fromEntries(names.map((name) => [name, value]))
    t.doesNotThrow(() => enrich(context, { sender: server() }), JSON.stringify(value))
    t.doesNotThrow(() => enrich(value), JSON.stringify(value))
  }
})
