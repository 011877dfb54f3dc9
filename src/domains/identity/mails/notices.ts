import { type Content, GREETING } from './templates.ts'

/** What a person is told about their own account. */

export const welcomeMail = (name: string, url: string): Content => ({
  subject: 'Welcome to Meterhouse',
  before: [GREETING(name), 'your account is there, and this address is its own. You can sign in now.'],
  action: { label: 'Open Meterhouse', url },
  after: [],
})

export const passwordChangedMail = (name: string, url: string): Content => ({
  subject: 'Your password was changed',
  before: [
    GREETING(name),
    'the password of your account was changed, and your other devices were signed out.',
    'If it was you, there is nothing to do. If it was not, set a new password now: that signs everybody out.',
  ],
  action: { label: 'Set a new password', url },
  after: [],
})

export const newDeviceMail = (
  name: string,
  { device, ip, at }: { device: string; ip: string; at: Date },
  url: string,
): Content => ({
  subject: 'New sign-in to your account',
  before: [
    GREETING(name),
    'somebody, probably you, signed in from a device or a network that your account has not seen lately.',
    `Device: ${device}. Address: ${ip}. Time: ${at.toISOString().slice(0, 16).replace('T', ' ')} UTC.`,
    'If it was you, there is nothing to do. If it was not, set a new password now: that signs you out everywhere.',
  ],
  action: { label: 'Set a new password', url },
  after: [],
})

export const emailChangeMail = (name: string, url: string): Content => ({
  subject: 'Confirm your new address',
  before: [GREETING(name), 'you asked to use this address for your Meterhouse account.'],
  action: { label: 'Change the address', url },
  after: ['The link works once, for 24 hours.', 'If it was not you, do nothing: without the link nothing changes.'],
})

export const addressWantedMail = (name: string): Content => ({
  subject: 'Your address stays yours',
  before: [
    GREETING(name),
    'somebody tried to use your address for another Meterhouse account. It belongs to yours, so nothing has changed.',
  ],
  after: ['There is nothing to do.'],
})

export const emailChangedMail = (name: string): Content => ({
  subject: 'Your address was changed',
  before: [
    GREETING(name),
    'your Meterhouse account has another address now. This one signs in no more and gets no more mail about it.',
    'If it was not you, somebody knows your password and reads the new mailbox: tell an owner of your organization at once.',
  ],
  after: [],
})

export const secondFactorEnrolledMail = (name: string, url: string): Content => ({
  subject: 'Your account has a second factor',
  before: [
    GREETING(name),
    'from now on signing in to your account takes a code of an authenticator too. Keep the recovery codes apart from it.',
    'If it was not you, set a new password now and tell an owner of your organization: signing in asks for a code that somebody else has.',
  ],
  action: { label: 'Set a new password', url },
  after: [],
})

export const secondFactorRemovedMail = (name: string, url: string): Content => ({
  subject: 'Your second factor was removed',
  before: [
    GREETING(name),
    'signing in to your account takes the password alone again.',
    'If it was you, there is nothing to do. If it was not, set a new password now: that signs everybody out.',
  ],
  action: { label: 'Set a new password', url },
  after: [],
})

export const recoveryCodeUsedMail = (name: string, url: string): Content => ({
  subject: 'A recovery code was used',
  before: [
    GREETING(name),
    'somebody, probably you, signed in to your account with a recovery code. That code works no more.',
    'If it was not you, set a new password now: that signs everybody out. Then make new recovery codes.',
  ],
  action: { label: 'Set a new password', url },
  after: [],
})

export const recoveryCodesRenewedMail = (name: string, url: string): Content => ({
  subject: 'You have new recovery codes',
  before: [
    GREETING(name),
    'new recovery codes were made for your account. The ones before work no more.',
    'If it was you, there is nothing to do. If it was not, set a new password now: that signs everybody out.',
  ],
  action: { label: 'Set a new password', url },
  after: [],
})

export const identityLinkedMail = (name: string, provider: string, url: string): Content => ({
  subject: 'There is another way into your account',
  before: [
    GREETING(name),
    `from now on “${provider}” signs you in to your account too, because it says that your address is yours there.`,
    'If it was you, there is nothing to do. If it was not, set a new password now and remove this way in.',
  ],
  action: { label: 'Set a new password', url },
  after: [],
})

export const identityUnlinkedMail = (name: string, provider: string, url: string): Content => ({
  subject: 'A way into your account was removed',
  before: [
    GREETING(name),
    `“${provider}” signs you in to your account no more.`,
    'If it was you, there is nothing to do. If it was not, set a new password now: that signs everybody out.',
  ],
  action: { label: 'Set a new password', url },
  after: [],
})
