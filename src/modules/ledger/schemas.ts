// Shapes of the ledger on the wire.
import { type Static, Type } from 'typebox'
import { limits } from '../../base/limits.ts'
import { amountMax } from '../../base/money.ts'
import { Currency, closed, line, listOf, Money, nullable, OrderId, oneOf, page, ref, Time } from '../../base/schemas.ts'
import type { BookingKind } from './types.ts'

const accountNames = ['receivable', 'sales', 'external', 'authorizations', 'fees', 'payable', 'written_off'] as const
const Account = Type.String({
  maxLength: 80,
  pattern: `^(${accountNames.join('|')}|(provider|taken_back|authorized):[^\\u0000-\\u001f\\u007f-\\u009f]{1,64})$`,
  description: `${accountNames.map((name) => `\`${name}\``).join(', ')}, \`provider:<name>\`, \`taken_back:<name>\` or \`authorized:<name>\`.`,
})

const kinds = ['fee', 'written_off'] as const satisfies BookingKind[]
export const BookingBody = closed({
  kind: oneOf(kinds),
  order_id: OrderId,
  amount: closed(
    { amount: Type.Integer({ minimum: 1, maximum: amountMax, description: 'Minor units.' }), currency: Currency },
    { description: 'More than 0, in the currency of the order.' },
  ),
  reason: line(limits.bookingReasonCharactersMax),
})
export type BookingBody = Static<typeof BookingBody>

export const BalancesQuery = closed({ currency: Type.Optional(Currency) })
export type BalancesQuery = Static<typeof BalancesQuery>

export const EntriesQuery = closed({
  order: Type.Optional(line(64, 'Those of one order, by its id.')),
  account: Type.Optional(Account),
  after: Type.Optional(Type.String({ maxLength: 64, description: '`next_cursor` of the page before.' })),
  limit: page.limit,
})
export type EntriesQuery = Static<typeof EntriesQuery>

// Answers
const BookingAnswer = Type.Object({
  id: Type.String(),
  kind: oneOf(kinds),
  order_id: OrderId,
  owed_by: nullable(oneOf(['buyer', 'shop'])),
  amount: Money,
  reason: Type.String(),
  created_at: Time,
})
const BalanceAnswer = Type.Object({
  account: Account,
  currency: Currency,
  debit: Type.Integer({ minimum: 0 }),
  credit: Type.Integer({ minimum: 0 }),
  balance: Type.Integer({ description: 'debit − credit' }),
})
const EntryAnswer = Type.Object({
  id: Type.String({ description: 'Its event’s place in the log, and its line.' }),
  at: Time,
  kind: Type.String({ description: 'The type of the event that it is made of; `fee` and `written_off` by hand.' }),
  order_id: OrderId,
  payment_id: nullable(Type.String()),
  debit: Account,
  credit: Account,
  amount: Money,
})

/** Named in OpenAPI. */
export const components = {
  LedgerBooking: BookingAnswer,
  LedgerBalance: BalanceAnswer,
  LedgerBalanceList: listOf(ref('LedgerBalance')),
  LedgerEntry: EntryAnswer,
  LedgerEntryList: listOf(ref('LedgerEntry')),
}

const Sum = Type.Integer()
/** Part of what the audit answers. */
export const MoneyAnswer = Type.Object({
  behind: Type.Integer({
    minimum: 0,
    description:
      'How many places of the log the ledger had not read yet; what is said of it below counts none of them.',
  }),
  dead: Type.Integer({ minimum: 0, description: 'Events that it could not apply: they stand in the dead letters.' }),
  sums: Type.Array(
    Type.Object({
      currency: Currency,
      sales: Sum,
      captured: Sum,
      refunded: Sum,
      authorized: Sum,
      receivable: Sum,
      external: Sum,
      fees: Sum,
      written_off: Sum,
      providers: Type.Record(Type.String(), Type.Object({ ours: Sum, theirs: nullable(Sum) })),
    }),
  ),
  differences: Type.Array(
    Type.Object({
      check: oneOf(['entries', 'balances', 'orders', 'unsettled', 'providers']),
      what: Type.String(),
      currency: nullable(Currency),
      order_id: nullable(Type.String()),
      expected: nullable(Sum),
      actual: nullable(Sum),
    }),
  ),
})
