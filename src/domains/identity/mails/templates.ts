import type { Mail } from '../../../infra/mail.ts'

export interface Content {
  subject: string
  /** Paragraphs of plain text. */
  before: string[]
  action?: { label: string; url: string }
  after: string[]
}

export const GREETING = (name: string) => `Hello ${name},`

export const verificationMail = (name: string, url: string): Content => ({
  subject: 'Confirm your address',
  before: [GREETING(name), 'somebody, probably you, asked for a Meterhouse account with this address.'],
  action: { label: 'Confirm and make the account', url },
  after: ['The link works once, for 24 hours.', 'If it was not you, do nothing: without the link there is no account.'],
})

export const addressTakenMail = (name: string, url: string): Content => ({
  subject: 'You already have an account',
  before: [
    GREETING(name),
    'somebody tried to register with your address. You have an account already, so nothing has changed.',
    'If it was you, sign in; if you do not remember the password, ask for a new one.',
  ],
  action: { label: 'Ask for a new password', url },
  after: ['If it was not you, there is nothing to do.'],
})

export const passwordResetMail = (name: string, url: string): Content => ({
  subject: 'Set a new password',
  before: [GREETING(name), 'somebody, probably you, asked for a new password for your account.'],
  action: { label: 'Set a new password', url },
  after: [
    'The link works once, for 30 minutes, and signs you out everywhere.',
    'If it was not you, do nothing: your password stays as it is.',
  ],
})

export const invitationMail = (names: { organizationName: string; inviterName: string }, url: string): Content => ({
  subject: 'You are invited to an organization',
  before: ['Hello,', `${names.inviterName} invites you to join ${names.organizationName} at Meterhouse.`],
  action: { label: 'Join', url },
  after: [
    'The link works once, for seven days, and only for the account of this address. If you have none yet, register with this address first.',
    'If you do not know what this is about, do nothing.',
  ],
})

export const reuseAlarmMail = (name: string, device: string, url: string): Content => ({
  subject: 'We signed one of your devices out',
  before: [
    GREETING(name),
    `the sign-in of one of your devices (${device}) was used from two places. Somebody may have copied it, so we ended it on both.`,
    'Sign in again on that device. If you do not know what happened, set a new password: that signs you out everywhere.',
  ],
  action: { label: 'Set a new password', url },
  after: [],
})

/** One mail, as text and as a page that is readable on a phone and without images. */
export function render(to: string, { subject, before, action, after }: Content): Mail {
  const text = [...before, ...(action ? [`${action.label}:\n${action.url}`] : []), ...after, 'Meterhouse'].join('\n\n')
  const paragraphs = (lines: string[]) => lines.map((line) => `<p style="margin:0 0 16px">${escapeHtml(line)}</p>`)
  const button = action ? [buttonOf(action)] : []
  const html = page(subject, [...paragraphs(before), ...button, ...paragraphs(after)].join('\n'))
  return { to, subject, text: `${text}\n`, html }
}

/** The address stands below the button too, for those whose reader shows no links. */
function buttonOf({ label, url }: { label: string; url: string }): string {
  const href = escapeHtml(url)
  return `<p style="margin:24px 0"><a href="${href}" style="display:inline-block;padding:12px 20px;border-radius:6px;background:#1f4fd8;color:#ffffff;font-weight:600;text-decoration:none">${escapeHtml(label)}</a></p>
<p style="margin:0 0 16px;font-size:13px;word-break:break-all"><a href="${href}" style="color:#555555">${href}</a></p>`
}

const page = (title: string, body: string) => `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)}</title>
</head>
<body style="margin:0;padding:24px 16px;background:#f4f5f7">
<div style="max-width:520px;margin:0 auto;padding:24px;border-radius:8px;background:#ffffff;color:#1a1a1a;font:16px/1.5 system-ui,sans-serif">
${body}
<p style="margin:24px 0 0;font-size:13px;color:#555555">Meterhouse</p>
</div>
</body>
</html>
`

const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }
const escapeHtml = (text: string) => text.replace(/[&<>"']/g, (character) => ENTITIES[character] ?? character)
