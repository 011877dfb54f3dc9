/** Why an event was not captured: every way out has a code that is counted and told to the sender. */
export interface Rejection {
  code: string
  message: string
  /** JSON pointer inside the event. */
  path: string
  messageId: string | null
}
