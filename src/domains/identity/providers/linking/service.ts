import { newId } from '../../../../ids.ts'
import { append, NO_ORGANIZATION } from '../../../../infra/outbox.ts'
import type { SystemTx } from '../../../../infra/postgres.ts'
import { insertUser } from '../../accounts/store.ts'
import type { Device } from '../../device.ts'
import { providerRefused } from '../../errors.ts'
import { IDENTITY_LINKED } from '../../fact-kinds.ts'
import { NO_PASSWORD } from '../../passwords.ts'
import type { SignInLog } from '../../sign-in-log.ts'
import { findUserByEmail } from '../../store.ts'
import type { ProvidedPerson } from '../provided-person.ts'
import { findIdentity, insertIdentity } from '../store.ts'

/**
 * The account of a person who comes from a provider: the one that they are linked to, else the one with their address, else a new one.
 * The unique keys decide between those who come at once, so that they all end in one account.
 */
export function createLinkingService(signInLog: SignInLog) {
  return {
    async accountOf(tx: SystemTx, providerId: string, person: ProvidedPerson, device: Device): Promise<string> {
      const { subject, email, name } = person
      const known = await findIdentity(tx, providerId, subject)
      if (known) return known.userId
      const made = { id: newId('usr'), email, name, passwordHash: NO_PASSWORD }
      const user = (await insertUser(tx, made)) ? made : await findUserByEmail(tx, email)
      if (!user) throw providerRefused('The account was just deleted. Sign in again.')
      const identity = { id: newId('idn'), userId: user.id, providerId, subject, email }
      if (await insertIdentity(tx, identity)) {
        const payload = { userId: user.id, providerId }
        // Whoever has had the account knows nothing of it; whoever has just got it does.
        if (user !== made) await append(tx, { organizationId: NO_ORGANIZATION, kind: IDENTITY_LINKED, payload })
        const happening = { action: 'identity.linked', identityId: identity.id, after: { providerId } }
        await signInLog(tx, user.id, device, happening)
        return user.id
      }
      const meanwhile = await findIdentity(tx, providerId, subject)
      if (!meanwhile) {
        throw providerRefused(
          'The account with your address belongs to somebody else there. Sign in with the password.',
        )
      }
      return meanwhile.userId
    },
  }
}
