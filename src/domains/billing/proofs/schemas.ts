import { type Static, Type } from '@sinclair/typebox'
import { LimitQuery, OrganizationParams } from '../../../http/schemas.ts'

/** Postgres knows no year 0. */
const Day = (description: string) =>
  Type.String({ format: 'date', pattern: '^(?!0000)', description, examples: ['2026-01-31'] })
const HASH = 'b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9'
const EXAMPLE = {
  day: '2026-01-31',
  document: `{"contentHash":"${HASH}","day":"2026-01-31","events":"1200","format":"meterhouse.usage-proof.1",…}`,
  hash: HASH,
  keyId: '0f3c5c1f6a7b8d9e',
  signature: 'sXo1zq7…==',
}

export const UsageProof = Type.Object(
  {
    day: Type.String({ description: 'UTC.' }),
    document: Type.String({
      description: `JSON, to be taken byte by byte: the events of each project and hour with their content hash, what came late for days
before, and the hash of the proof before.`,
    }),
    hash: Type.String({ description: 'SHA-256 of the document, hexadecimal.' }),
    keyId: Type.String({ description: 'Which of `/v1/usage-proof-keys` has signed.' }),
    signature: Type.String({ description: 'Ed25519 over the document, base64.' }),
  },
  { description: 'The proof.', examples: [EXAMPLE] },
)
export type UsageProof = Static<typeof UsageProof>

export const UsageProofPage = Type.Object(
  { data: Type.Array(UsageProof), nextCursor: Type.Union([Type.String(), Type.Null()]) },
  { description: 'One page of proofs, as the chain goes.', examples: [{ data: [EXAMPLE], nextCursor: null }] },
)

export const ProofQuery = Type.Object(
  {
    limit: LimitQuery,
    cursor: Type.Optional(Day('The `nextCursor` of the page before, or any day: what comes after it.')),
  },
  { additionalProperties: false },
)

export const ProofParams = Type.Object({ ...OrganizationParams.properties, day: Day('A day, UTC.') })

export const ProofKeys = Type.Object(
  {
    data: Type.Array(
      Type.Object({
        id: Type.String(),
        algorithm: Type.Literal('ed25519'),
        publicKey: Type.String({ description: 'SubjectPublicKeyInfo, DER, base64.' }),
      }),
    ),
    nextCursor: Type.Null(),
  },
  {
    description: 'The key that signs, and those that have.',
    examples: [
      {
        data: [
          {
            id: '0f3c5c1f6a7b8d9e',
            algorithm: 'ed25519',
            publicKey: 'MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=',
          },
        ],
        nextCursor: null,
      },
    ],
  },
)
