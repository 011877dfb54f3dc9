import { type Fields, fieldsOr, firstText, idOf, isFields, present, timeOf } from './foreign.ts'

const TYPES = new Map<unknown, string>(
  Object.entries({
    $pageview: 'page',
    $screen: 'screen',
    $identify: 'identify',
    $groupidentify: 'group',
    $create_alias: 'alias',
  }),
)

/**
 * The native event of one PostHog event. Names that begin with `$` are the SDK's: they go to the context, under their own names, so
 * that the properties are what the customer said. Left out is the key, and what a retry says differently: `sent_at` and `offset`,
 * the age of an event when it was sent. Its time is then the one inside its id, which is a version 7 UUID.
 */
export function fromPostHog(foreign: unknown): unknown {
  if (!isFields(foreign)) return foreign
  const { event, uuid, distinct_id, timestamp, sent_at, offset, api_key, token, properties, ...others } = foreign
  const { $set, $set_once, $group_set, ...extras } = others
  if (!isFields(properties ?? {})) return { event, properties }
  const { own, system } = split(fieldsOr(properties))
  return {
    event,
    messageId: idOf(uuid) ?? idOf(system.$insert_id),
    type: TYPES.get(event) ?? 'track',
    ...identityOf(idOf(distinct_id ?? fieldsOr(properties).distinct_id), system),
    groupId: idOf(system.$group_key ?? Object.values(fieldsOr(system.$groups))[0]),
    timestamp: timeOf(timestamp),
    properties: own,
    traits: traitsOf({ $set_once, $set, $group_set }, system),
    // `$set_once` differs from a trait in that it does not replace, which a reader of the context can still see.
    context: present({ $set_once, ...system, $set: undefined, $group_set: undefined, envelope: present(extras) }),
  }
}

const KEY = /^mh_(write|live)_/

/** Separates the customer's properties from the SDK's. The key, which some versions repeat in every event, is neither. */
function split(properties: Fields): { own: Fields | undefined; system: Fields } {
  const isKey = (name: string, value: unknown) => name === 'token' && typeof value === 'string' && KEY.test(value)
  const entries = Object.entries(properties).filter(([name, value]) => name !== 'distinct_id' && !isKey(name, value))
  const own = entries.filter(([name]) => !name.startsWith('$'))
  return {
    own: own.length > 0 ? Object.fromEntries(own) : undefined,
    system: Object.fromEntries(entries.filter(([name]) => name.startsWith('$'))),
  }
}

/** Browsers say whether somebody has signed in; servers do not, and know whom they mean. */
function identityOf(distinctId: unknown, system: Fields) {
  if (system.$is_identified === false) return { anonymousId: distinctId }
  const ofGroup = distinctId === `$${system.$group_type}_${system.$group_key}`
  const anonymousId = firstText(system.$anon_distinct_id, system.$device_id)
  return { userId: ofGroup ? undefined : distinctId, anonymousId }
}

function traitsOf(top: Fields, system: Fields): Fields | undefined {
  const parts = ['$set_once', '$set', '$group_set'].flatMap((name) => [system[name], top[name]])
  // Not by assignment, which would take a field called __proto__ for a prototype and so hide it from `capture`.
  return present(Object.fromEntries(parts.flatMap((part) => Object.entries(fieldsOr(part)))))
}
