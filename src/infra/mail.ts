import { createTransport } from 'nodemailer'

/** One email. `text` is always there; `html` says the same with links and layout. */
export interface Mail {
  to: string
  subject: string
  text: string
  html: string
  /** Tells two copies of one mail from two mails. */
  messageId?: string
  attachments?: { filename: string; content: Buffer; contentType: string }[]
}

/** Sends over SMTP. Rejects when the server does not take the message. */
export function createMailer({ smtpUrl, from }: { smtpUrl: string; from: string }) {
  const transport = createTransport({
    url: smtpUrl,
    connectionTimeout: 5000,
    greetingTimeout: 5000,
    socketTimeout: 10_000,
  })
  return {
    async send(mail: Mail): Promise<void> {
      await transport.sendMail({ from, ...mail })
    },
    close: () => transport.close(),
  }
}
