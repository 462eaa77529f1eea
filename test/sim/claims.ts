// Every event of a COMMIT has a cause that a client asked for or that time brought, and every cause has its events, once.
// A key stands for one cause; what has no key (releases, policies, expiry) is matched with what was ever asked.
import type { Uuid } from '../../src/base/ids.ts'
import type { Terms } from '../../src/modules/orders/life.ts'
import type { LoggedEvent, MemoryCommit } from '../../src/modules/orders/memory-database.ts'
import type { Command, EditOrder, LifeCommand } from '../../src/modules/orders/types.ts'
import type { Intent, Request } from './intents.ts'
import { bareName, keyOfSku, nameOf } from './names.ts'
import { Violation } from './violation.ts'

export function createClaims() {
  const requests = new Map<string, Request[]>()
  const keysSeen = new Set<string>()
  const releases = new Set<string>()
  const policies = new Map<string, Set<string>>()
  /** What the present commit was asked for. */
  const edits: EditOrder[] = []
  const captures = new Set<Uuid>()
  const terms = new Map<Uuid, Terms>()

  function intended(intent: Intent): void {
    for (const { command } of intent.requests) {
      if (intent.key !== null) requests.set(`${command.shopId} ${intent.key}`, intent.requests)
      if (command.kind === 'release_hold') releases.add(`${command.shopId} ${nameOf(command.holdId)}`)
      if (command.kind === 'set_policy') {
        const sku = keyOfSku({ shopId: command.shopId, sku: command.policy.sku })
        const asked = policies.get(sku) ?? new Set()
        policies.set(sku, asked.add(policyText(command.policy)))
      }
    }
  }

  function check(commit: MemoryCommit): void {
    edits.length = 0
    captures.clear()
    const open = new Map<string, number>()
    for (const event of commit.events) count(open, nameOfEvent(event), 1)
    for (const key of commit.keys) {
      const name = `${key.shopId} ${key.hash}`
      if (keysSeen.has(name)) throw new Violation('P3', `key ${name} was used twice`)
      keysSeen.add(name)
      const request = requests.get(name)?.find((one) => one.hash === key.request)
      if (!request) throw new Violation('P3', `key ${key.hash} was written for a request that nobody sent`)
      claim(open, request.command, key.resultId, commit)
    }
    claimShortPicks(open, commit)
    for (const event of commit.events) {
      const name = nameOfEvent(event)
      const isClaimed = event.type === 'shipment.cancelled' && (open.get(name) ?? 0) <= 0
      if (!isClaimed && isFree(event, commit)) count(open, name, -1)
    }
    for (const [name, left] of open) {
      if (left > 0) throw new Violation('P3', `${name}: happened ${left} times more than it was asked for`)
      if (left < 0) throw new Violation('P2', `${name}: its key was written, and it did not happen`)
    }
  }

  /** What a fresh key must have caused in the same COMMIT. */
  function claim(open: Map<string, number>, command: Command, resultId: Uuid | null, commit: MemoryCommit): void {
    switch (command.kind) {
      case 'place_order':
        count(open, `order.placed ${nameOf(resultId!)}`, -1)
        terms.set(resultId!, command.terms)
        if (command.payment) count(open, `payment.requested ${nameOf(resultId!)}`, -1)
        if (
          command.provider === 'none' &&
          !has(commit, command.review ? 'order.in_review' : 'order.confirmed', resultId!)
        )
          throw new Violation('P2', `order ${resultId} was paid elsewhere, and that was all`)
        if (command.holdId !== null) count(open, `hold.consumed ${nameOf(command.holdId)}`, -1)
        break
      case 'exchange_order':
        claim(open, command.order, resultId, commit)
        count(open, `return.requested ${nameOf(command.orderId)}`, -1)
        break
      case 'place_hold':
        count(open, `hold.created ${nameOf(resultId!)}`, -1)
        break
      case 'extend_hold':
        count(open, `hold.extended ${nameOf(command.holdId)}`, -1)
        break
      case 'cancel_order': {
        const [whole, part] = [
          `order.cancelled ${nameOf(command.orderId)}`,
          `order.lines_cancelled ${nameOf(command.orderId)}`,
        ]
        const isWhole = command.lines === null ? open.get(whole) : !open.get(part) // all that is left may be a part
        count(open, isWhole ? whole : part, -1)
        break
      }
      case 'adjust_stock':
        for (const adjustment of command.adjustments) {
          const { sku, location, reason } = adjustment
          const name = `stock.adjusted ${keyOfSku({ shopId: command.shopId, sku })} ${location} ${reason}`
          if ('delta' in adjustment.change) count(open, `${name} ${adjustment.change.delta}`, -1)
          else claimCount(open, name, commit)
        }
        break
      case 'review_order': {
        const name = nameOf(command.orderId)
        count(open, `order.${command.approve ? 'approved' : 'cancelled'} ${name}`, -1)
        break
      }
      case 'deliver_shipment': // said twice, it is delivered once; and likewise packed
      case 'pack_shipment': {
        const name = `shipment.${command.kind === 'pack_shipment' ? 'packed' : 'delivered'} ${nameOf(command.orderId)}`
        if ((open.get(name) ?? 0) > 0) count(open, name, -1)
        break
      }
      case 'short_pick':
        count(open, `order.short_picked ${nameOf(command.orderId)}`, -1)
        break
      case 'edit_order':
        count(open, `order.edited ${nameOf(command.orderId)}`, -1)
        edits.push(command)
        break
      case 'capture_order': // an authorization of the same moment may have asked for it first
        if (!has(commit, 'payment.capture_requested', command.orderId))
          throw new Violation('P2', `the capture of ${command.orderId} was accepted, and nothing was asked`)
        captures.add(command.orderId)
        break
      case 'start_payment':
      case 'refund_order':
      case 'ship_order':
      case 'pick_order':
      case 'ship_shipment':
      case 'cancel_shipment':
      case 'request_return':
      case 'receive_return':
        count(open, `${causes[command.kind]} ${nameOf(command.orderId)}`, -1)
        break
      default:
        throw new Violation('P3', `${command.kind} wrote a key`)
    }
  }

  /** What short picks lose, at their places, and what they cancel for want of units. */
  function claimShortPicks(open: Map<string, number>, commit: MemoryCommit): void {
    const lost = new Map<string, number>()
    for (const { shopId, type, subject, data } of commit.events) {
      if (type !== 'order.short_picked') continue
      for (const { sku, quantity } of data.lines as { sku: string; quantity: number }[])
        count(lost, `stock.adjusted ${keyOfSku({ shopId, sku })} ${data.location} lost`, quantity)
      if ((data.not_found as unknown[]).length === 0) continue
      const isAll = (open.get(`order.cancelled ${bareName(subject)}`) ?? 0) > 0
      count(open, `order.${isAll ? 'cancelled' : 'lines_cancelled'} ${bareName(subject)}`, -1)
    }
    for (const event of commit.events) {
      if (event.type !== 'stock.adjusted' || event.data.reason !== 'lost') continue
      const name = nameOfEvent(event)
      const place = name.slice(0, name.lastIndexOf(' '))
      const units = -Number(event.data.delta)
      if ((open.get(name) ?? 0) <= 0 || (lost.get(place) ?? 0) < units) continue
      count(lost, place, -units)
      count(open, name, -1)
    }
  }

  /** A count may have been ignored for a later one; its delta depends on what it found. */
  function claimCount(open: Map<string, number>, name: string, commit: MemoryCommit): void {
    const event = commit.events.find(
      (one) => nameOfEvent(one).startsWith(`${name} `) && (open.get(nameOfEvent(one)) ?? 0) > 0,
    )
    if (event) count(open, nameOfEvent(event), -1)
  }

  /** Needs no key: asked for at any time before, or brought about by time, or the news of another event. */
  function isFree(event: LoggedEvent, commit: MemoryCommit): boolean {
    switch (event.type) {
      case 'hold.released':
        return releases.has(`${event.shopId} ${bareName(event.subject)}`)
      case 'hold.expired':
        return true
      case 'order.cancelled':
        return event.data.reason === 'unpaid'
      case 'stock.policy_set': {
        const { sku, tracking, allowance } = event.data
        const key = keyOfSku({ shopId: event.shopId, sku: String(sku) })
        return policies.get(key)?.has(policyText({ tracking, allowance })) ?? false
      }
      case 'stock.short':
        return commit.events.some((one) => one.type === 'stock.adjusted' || one.type === 'stock.policy_set')
      case 'shipment.cancelled': // when what it was for is cancelled, or not found
        return commit.events.some(({ subject, type }) => subject === event.subject && givingUpParcels.has(type))
      case 'order.unpaid':
      case 'order.in_review':
      case 'order.confirmed':
      case 'order.completed':
        return true // the books know whether it was paid
      default: // what a provider says, and what follows from it; the books of money know
        return event.type.startsWith('payment.') && event.type !== causes.start_payment
    }
  }

  return {
    intended,
    check,
    keysSeen: () => keysSeen.size,
    /** Of the commit that was checked last. */
    edits: (): readonly EditOrder[] => edits,
    termsOf: (orderId: Uuid) => terms.get(orderId),
    isCaptureAsked: (orderId: Uuid) => captures.has(orderId),
    hasPolicy: (sku: string) => policies.has(sku),
  }
}

/** What a command on an order has caused when it was accepted. */
const causes = {
  start_payment: 'payment.requested',
  refund_order: 'order.credited',
  ship_order: 'shipment.created',
  pick_order: 'shipment.picking',
  ship_shipment: 'shipment.created',
  cancel_shipment: 'shipment.cancelled',
  request_return: 'return.requested',
  receive_return: 'return.received',
} satisfies Partial<Record<LifeCommand['kind'], string>>

const givingUpParcels = new Set(['order.cancelled', 'order.lines_cancelled', 'order.short_picked'])

const has = (commit: MemoryCommit, type: string, orderId: Uuid): boolean =>
  commit.events.some((event) => event.type === type && bareName(event.subject) === nameOf(orderId))

const policyText = ({ tracking, allowance }: { tracking?: unknown; allowance?: unknown }) => `${tracking} ${allowance}`

function count(open: Map<string, number>, name: string, by: number): void {
  open.set(name, (open.get(name) ?? 0) + by)
}

function nameOfEvent({ shopId, type, subject, data }: LoggedEvent): string {
  const sku = keyOfSku({ shopId, sku: String(data.sku) })
  if (type === 'stock.adjusted') return `${type} ${sku} ${data.location} ${data.reason} ${data.delta}`
  return `${type} ${bareName(subject)}`
}
