// The auditor's eye on edits: what is told of an order's buyer, and its labels, change only as somebody asked, field by field.
import type { Uuid } from '../../src/base/ids.ts'
import type { Annotations, EditOrder, Order, Personal } from '../../src/modules/orders/types.ts'
import { Violation } from './violation.ts'

type Fields = Personal & Annotations
const none: Fields = { email: null, address: null, note: null, tags: [], metadata: {} }

export function createEdits() {
  const known = new Map<Uuid, Fields>()
  const edited = new Set<Uuid>()

  /** An order as a COMMIT wrote it, and the edits that the commit was asked for. Of several the last wins, which is not looked at. */
  function check({ id, personal, annotations }: Order, all: readonly EditOrder[]): void {
    const before = known.get(id)
    const edits = all.filter(({ orderId }) => orderId === id)
    const fields = { ...none, ...personal, ...annotations }
    known.set(id, fields)
    if (edits.length > 0) edited.add(id)
    if (!before || edits.length > 1) return
    const { address, email, note, tags, metadata } = edits[0] ?? {}
    const asked = Object.entries({ address, email, note, tags, metadata }).filter(([, value]) => value !== undefined)
    const expected = { ...before, ...Object.fromEntries(asked) }
    if (textOf(expected) !== textOf(fields))
      throw new Violation('P2', `order ${id} was edited to ${textOf(fields)}, asked was ${textOf(expected)}`)
  }

  return { check, wasEdited: (id: Uuid) => edited.has(id) }
}

const textOf = (fields: Fields): string =>
  JSON.stringify(Object.entries(fields).toSorted(([a], [b]) => (a < b ? -1 : 1)))
