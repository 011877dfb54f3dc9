import { createPrivateKey, createPublicKey, hash, hkdfSync, type KeyObject, sign } from 'node:crypto'

/** A private Ed25519 key of PKCS #8 is this and the 32 bytes of its seed (RFC 8410). */
const PKCS8_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex')
const PURPOSE = 'meterhouse usage proofs'
const SEED_BYTES = 32

export interface ProofKey {
  id: string
  algorithm: 'ed25519'
  /** SubjectPublicKeyInfo, DER, base64. */
  publicKey: string
}

interface SignerOptions {
  /** Base64 of the seed of the key that signs; without it the key comes from the secret. */
  seed: string | undefined
  secret: string
  previousSecrets: readonly string[]
}

export type ProofSigner = ReturnType<typeof createProofSigner>

/** Signs proofs. The keys of earlier secrets are known on, so that what they signed can be verified. */
export function createProofSigner({ seed, secret, previousSecrets }: SignerOptions) {
  const derived = [secret, ...previousSecrets].map((text) =>
    Buffer.from(hkdfSync('sha256', text, '', PURPOSE, SEED_BYTES)),
  )
  const privateKeys = [...(seed === undefined ? [] : [Buffer.from(seed, 'base64')]), ...derived].map(privateKeyOf)
  const [current] = privateKeys
  if (!current) throw new Error('there is no key to sign with')
  const keys = privateKeys.map(describe)
  return {
    keys,
    sign: (text: string) => ({
      keyId: describe(current).id,
      signature: sign(null, Buffer.from(text), current).toString('base64'),
    }),
  }
}

const privateKeyOf = (seed: Buffer): KeyObject =>
  createPrivateKey({ key: Buffer.concat([PKCS8_PREFIX, seed]), format: 'der', type: 'pkcs8' })

function describe(privateKey: KeyObject): ProofKey {
  const der = createPublicKey(privateKey).export({ format: 'der', type: 'spki' })
  return { id: hash('sha256', der, 'hex').slice(0, 16), algorithm: 'ed25519', publicKey: der.toString('base64') }
}
