// The ledger as a consumer of the log: what each event books is written in the transaction that moves its position on.
import { limits } from '../../base/limits.ts'
import type { Consumer } from '../../runtime/bus.ts'
import { bookedTypes, entriesOf } from './decide.ts'
import { addEntries } from './store.ts'

export const ledgerConsumer = (): Consumer => ({
  name: 'ledger',
  lingerMs: limits.ledgerLingerMs,
  isRepeatable: true, // an entry's key is its event's place and its line
  types: { names: new Set(bookedTypes), nouns: new Set() },
  async apply(session, events) {
    const entries = events.flatMap(({ shopId, seq, at, type, data }) => {
      const told = JSON.parse(data)
      const kind = type === 'ledger.booked' ? told.kind : type
      return entriesOf(type, told).map((entry) => ({ ...entry, shopId, seq, at, kind }))
    })
    if (entries.length > 0) await addEntries(session, entries)
  },
})
