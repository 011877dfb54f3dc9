// Verifies a file of usage proofs, with nothing but Node: node verify-usage-proof.js PROOFS.json KEYS.json [HASH]
//
// PROOFS.json is what GET /v1/organizations/{organizationId}/usage/proofs answers, or a list of such proofs in their order; KEYS.json is
// what GET /v1/usage-proof-keys answers, kept from a time at which you trusted it. HASH is that of the proof before the first one, where
// you have it: the whole chain begins with zeros.
import { createHash, createPublicKey, verify } from 'node:crypto'
import { readFileSync } from 'node:fs'

const HASH_RANGE = 1n << 256n

/** @typedef {{ events: string, contentHash: string }} Counted */
/** @typedef {Counted & { projectId: string, hours: Counted[] }} Project */
/** @typedef {Counted & { organizationId: string, day: string, previousHash: string, projects: Project[] }} Proved */
/** @typedef {{ day: string, document: string, hash: string, keyId: string, signature: string }} Proof */
/** @typedef {{ id: string, publicKey: string }} Key */

/**
 * Everything that is wrong with proofs, in words.
 * @param {Proof[]} proofs
 * @param {Key[]} keys
 * @param {string | undefined} firstPrevious
 */
function faultsOf(proofs, keys, firstPrevious) {
  /** @type {string[]} */
  const faults = []
  /** @type {{ document: Proved, hash: string } | undefined} */
  let before
  for (const proof of proofs) {
    const say = (/** @type {string} */ what) => faults.push(`${proof.day}: ${what}`)
    const { document: text, hash } = proof
    if (createHash('sha256').update(text).digest('hex') !== hash) say('the document does not have the hash')
    const key = keys.find(({ id }) => id === proof.keyId)
    if (!key) say(`the key ${proof.keyId} is not among those that are trusted`)
    else if (!isSigned(text, proof.signature, key)) say('the signature is not that of the key')
    const document = /** @type {Proved} */ (JSON.parse(text))
    if (document.day !== proof.day) say(`the document is about ${document.day}`)
    if (before && document.organizationId !== before.document.organizationId) say('it is of another organization')
    if (before && document.day <= before.document.day) say('it is not later than the one before')
    const previous = before ? before.hash : firstPrevious
    if (previous !== undefined && document.previousHash !== previous) say('it does not follow the one before')
    for (const fault of sumFaults(document)) say(fault)
    before = { document, hash }
  }
  return faults
}

/** @param {string} text @param {string} signature @param {Key} key */
function isSigned(text, signature, { publicKey }) {
  const key = createPublicKey({ key: Buffer.from(publicKey, 'base64'), format: 'der', type: 'spki' })
  return verify(null, Buffer.from(text), key, Buffer.from(signature, 'base64'))
}

/**
 * Hours sum to their project, and projects to the day: events, and hashes modulo 2^256.
 * @param {Proved} document
 */
function sumFaults(document) {
  const wholes = [
    { name: 'the day', whole: document, parts: document.projects },
    ...document.projects.map((project) => ({ name: project.projectId, whole: project, parts: project.hours })),
  ]
  return wholes.flatMap(({ name, whole, parts }) => {
    /** @type {Counted[]} */
    const counted = parts
    const events = counted.reduce((sum, part) => sum + BigInt(part.events), 0n)
    const hash = counted.reduce((sum, part) => (sum + BigInt(`0x${part.contentHash}`)) % HASH_RANGE, 0n)
    return [
      ...(events === BigInt(whole.events) ? [] : [`the events of ${name} are not the sum of their parts`]),
      ...(hash === BigInt(`0x${whole.contentHash}`) ? [] : [`the hash of ${name} is not the sum of its parts`]),
    ]
  })
}

const [proofsFile, keysFile, firstPrevious] = process.argv.slice(2).filter((argument) => argument !== '--')
if (!proofsFile || !keysFile) {
  console.error('node verify-usage-proof.js PROOFS.json KEYS.json [HASH]')
  process.exit(2)
}
/** @param {string} file */
const listIn = (file) => {
  const content = JSON.parse(readFileSync(file, 'utf8'))
  return Array.isArray(content) ? content : (content.data ?? [content])
}
/** @type {Proof[]} */
const proofs = listIn(proofsFile)
/** @type {Key[]} */
const keys = listIn(keysFile)
const faults = faultsOf(proofs, keys, firstPrevious)
for (const fault of faults) console.error(fault)
if (faults.length > 0) process.exitCode = 1
else {
  const events = proofs.reduce((sum, { document }) => sum + BigInt(JSON.parse(document).events), 0n)
  console.log(
    `${proofs.length} proofs are whole and signed, over ${events} events; the last hash is ${proofs.at(-1)?.hash}.`,
  )
}
