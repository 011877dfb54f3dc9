/** What somebody has to show that they read a mailbox for. */
interface Asked {
  purpose: 'registration' | 'password_reset' | 'email_change'
  email: string
  name?: string | undefined
  passwordHash?: string | undefined
  organizationName?: string | undefined
  userId?: string | undefined
}

/** Writes down what was asked for and has its link mailed, in one step; `kind` is that of the fact. */
export type Ask = (asked: Asked, kind: string, ttlMs: number) => Promise<void>
