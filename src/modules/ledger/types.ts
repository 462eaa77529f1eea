// Words of the ledger: accounts, entries, and what is booked by hand. Units of goods stand in the engine's log, money here.
import type { ShopId, Uuid } from '../../base/ids.ts'
import type { Currency, MinorUnits } from '../../base/money.ts'
import type { Instant } from '../../base/time.ts'

/** docs/LEDGER.md says what each is for. Those of a provider carry its name. */
export type Account =
  | 'receivable'
  | 'sales'
  | 'external'
  | 'authorizations'
  | 'fees'
  | 'payable'
  | 'written_off'
  | `provider:${string}`
  | `taken_back:${string}`
  | `authorized:${string}`

/** One balanced double entry. The event's place in the log and `line` name it; `line` is the same whatever else is booked. */
export type Entry = {
  line: number
  orderId: Uuid
  paymentId: Uuid | null
  debit: Account
  credit: Account
  currency: Currency
  amount: MinorUnits
}

/** An entry as it stands in the ledger. `kind` is the type of its event, or what was booked by hand. */
export type StoredEntry = Entry & { seq: number; at: Instant; kind: string }

export type Balance = { account: Account; currency: Currency; debit: number; credit: number; balance: number }

export type BookingKind = 'fee' | 'written_off'

/** Booked by hand. A write-off says who owes what will never be paid. */
export type Booking = {
  shopId: ShopId
  id: Uuid
  at: Instant
  kind: BookingKind
  orderId: Uuid
  owedBy: 'buyer' | 'shop' | null
  currency: Currency
  amount: MinorUnits
  reason: string
}

/** What a provider says that it has taken and given back for a shop, all in all. */
export type ProviderSum = { shopId: ShopId; currency: Currency; captured: number; refunded: number }

/** A provider's own record, as the audit asks for it. */
export type ProviderRecord = { name: string; sums(): Promise<ProviderSum[]> }

/** What may have happened at a provider, while the answer is not recorded yet. */
export type UnderWay = { shopId: ShopId; provider: string; currency: Currency; captures: number; refunds: number }

/**
 * - `entries`: an entry is not what the log makes of its event.
 * - `balances`: a balance is not the sum of its entries.
 * - `orders`: what is booked of an order is not what the order's life says.
 * - `unsettled`: an order owes or is owed money, and nothing of it is under way.
 * - `providers`: a provider says that it took or gave back something else, beyond what is under way.
 */
export type MoneyCheck = 'entries' | 'balances' | 'orders' | 'unsettled' | 'providers'

export type MoneyDifference = {
  check: MoneyCheck
  /** An account or a sum. */
  what: string
  currency: string | null
  order_id: string | null
  /** By the log, the entries, the life, or the provider. */
  expected: number | null
  actual: number | null
}

/** What the accounts of a shop come to in one currency. */
export type MoneySums = {
  currency: string
  /** What standing orders cost. */
  sales: number
  /** Taken and given back, paid elsewhere included. */
  captured: number
  refunded: number
  /** Set aside for us, not taken yet. */
  authorized: number
  /** Sales that are not paid, less money that is not owed to us: what is under way. */
  receivable: number
  /** What was taken elsewhere, less what went back there. */
  external: number
  fees: number
  written_off: number
  /** What each should hold for us, and says that it does; null where it keeps no record that we can ask. */
  providers: Record<string, { ours: number; theirs: number | null }>
}
