// What the accounts come to, and whether that can be what the providers say. Pure.
import type { ShopId } from '../../base/ids.ts'
import type { MoneyDifference, MoneySums, ProviderSum, UnderWay } from './types.ts'

/** An account by its entries, and by its balance. */
export type AccountSum = {
  shop_id: ShopId
  account: string
  currency: string
  debit: number
  credit: number
  balanceDebit: number
  balanceCredit: number
}
/** What providers say, asked before and after our own sums were read, and what was under way when these were. */
export type Outside = {
  before: Map<string, readonly ProviderSum[]>
  after: Map<string, readonly ProviderSum[]>
  underWay: readonly UnderWay[]
}
/** Told by the log, and not booked yet. */
export type Unbooked = { shopId: ShopId; provider: string; currency: string; captured: number; refunded: number }

const emptySums = (currency: string): MoneySums => ({
  currency,
  sales: 0,
  captured: 0,
  refunded: 0,
  authorized: 0,
  receivable: 0,
  external: 0,
  fees: 0,
  written_off: 0,
  providers: {},
})

/** By shop, its currencies in order. */
export function sumsOf(accounts: readonly AccountSum[], { after }: Outside): Map<ShopId, MoneySums[]> {
  const shops = new Map<ShopId, Map<string, MoneySums>>()
  const sumsIn = (shopId: ShopId, currency: string): MoneySums => {
    const currencies = shops.get(shopId) ?? new Map<string, MoneySums>()
    shops.set(shopId, currencies)
    const sums = currencies.get(currency) ?? emptySums(currency)
    currencies.set(currency, sums)
    return sums
  }
  for (const { shop_id: shopId, account, currency, debit, credit } of accounts) {
    addAccount(sumsIn(shopId, currency), account, debit, credit)
  }
  for (const [name, said] of after) {
    for (const { shopId, currency, captured, refunded } of said) {
      const { providers } = sumsIn(shopId, currency)
      providers[name] = { ours: providers[name]?.ours ?? 0, theirs: captured - refunded }
    }
    for (const currencies of shops.values()) {
      for (const { providers } of currencies.values()) {
        const ours = providers[name]
        if (ours) ours.theirs ??= 0 // it is asked, and knows of none
      }
    }
  }
  return new Map([...shops].map(([shopId, sums]) => [shopId, [...sums.values()].toSorted(byCurrency)]))
}

const byCurrency = (a: MoneySums, b: MoneySums): number => (a.currency < b.currency ? -1 : 1)

function addAccount(sums: MoneySums, account: string, debit: number, credit: number): void {
  const net = debit - credit
  const [kind, provider = ''] = account.split(/:(.*)/)
  if (kind === 'provider' || kind === 'taken_back') {
    const before = sums.providers[provider] ?? { ours: 0, theirs: null }
    sums.providers[provider] = { ...before, ours: before.ours + net }
  }
  if (kind === 'provider' || kind === 'external') {
    sums.captured += debit
    sums.refunded += credit
  }
  if (kind === 'taken_back') sums.refunded -= debit
  if (account === 'sales') sums.sales = -net
  if (account === 'authorizations') sums.authorized = -net
  if (account === 'receivable' || account === 'external' || account === 'fees' || account === 'written_off')
    sums[account] = net
}

/**
 * A provider is ahead of us by what is under way, and by nothing else: what it said before we looked is at most what we
 * have and what it may be doing, what it says after is at least what we have.
 */
export function providerDifferences(
  accounts: readonly AccountSum[],
  unbooked: readonly Unbooked[],
  { before, after, underWay }: Outside,
): (MoneyDifference & { shopId: ShopId })[] {
  return [...before].flatMap(([name, saidBefore]) => {
    const isTheirs = (one: { provider: string }) => one.provider === name
    const ours = accounts.filter(({ account }) => account === `provider:${name}`)
    const takenBack = accounts.filter(({ account }) => account === `taken_back:${name}`)
    const waiting = unbooked.filter(isTheirs)
    const open = underWay.filter(isTheirs)
    const saidAfter = after.get(name) ?? []
    const places = new Map(
      [
        ...ours.map(({ shop_id, currency }) => ({ shopId: shop_id, currency })),
        ...waiting,
        ...saidBefore,
        ...saidAfter,
      ].map(({ shopId, currency }) => [`${shopId} ${currency}`, { shopId, currency }]),
    )
    return [...places.values()].flatMap((place) => {
      const here = <T extends { shopId: ShopId; currency: string }>(of: readonly T[], amount: (one: T) => number) =>
        sum(of.filter((one) => one.shopId === place.shopId && one.currency === place.currency).map(amount))
      const isHere = (one: AccountSum) => one.shop_id === place.shopId && one.currency === place.currency
      const account = ours.find(isHere)
      const back = takenBack.find(isHere)?.debit ?? 0
      const taken = {
        what: `${name} captured`,
        ours: (account?.debit ?? 0) + here(waiting, (one) => one.captured),
        open: here(open, (one) => one.captures),
        least: here(saidBefore, (one) => one.captured),
        most: here(saidAfter, (one) => one.captured),
      }
      const given = {
        what: `${name} refunded`,
        ours: (account?.credit ?? 0) - back + here(waiting, (one) => one.refunded),
        open: here(open, (one) => one.refunds),
        least: here(saidBefore, (one) => one.refunded),
        most: here(saidAfter, (one) => one.refunded),
      }
      return [taken, given].flatMap((one) =>
        one.least <= one.ours + one.open && one.ours <= one.most
          ? []
          : [
              {
                ...place,
                check: 'providers' as const,
                what: one.what,
                order_id: null,
                expected: one.most,
                actual: one.ours,
              },
            ],
      )
    })
  })
}

const sum = (amounts: readonly number[]): number => amounts.reduce((total, amount) => total + amount, 0)

/** The sums of several shops together. */
export function sumsTogether(shops: Iterable<{ sums: readonly MoneySums[] }>): MoneySums[] {
  const all = new Map<string, MoneySums>()
  for (const { sums } of shops) {
    for (const one of sums) {
      const before = all.get(one.currency) ?? emptySums(one.currency)
      const together = { ...before, providers: { ...before.providers } }
      for (const name of summedNames) together[name] += one[name]
      for (const [name, { ours, theirs }] of Object.entries(one.providers)) {
        const known = together.providers[name] ?? { ours: 0, theirs: theirs === null ? null : 0 }
        together.providers[name] = {
          ours: known.ours + ours,
          theirs: theirs === null ? null : (known.theirs ?? 0) + theirs,
        }
      }
      all.set(one.currency, together)
    }
  }
  return [...all.values()].toSorted(byCurrency)
}

export const summedNames = [
  'sales',
  'captured',
  'refunded',
  'authorized',
  'receivable',
  'external',
  'fees',
  'written_off',
] as const satisfies (keyof MoneySums)[]
