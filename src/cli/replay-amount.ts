// Prices as the file writes them, in exact integers of a hundred-millionth of a pound. No amount meets floating point.

/** Units of 10^-8 of the currency. */
export type Price = bigint

const decimalsMax = 8
const perUnit = 10n ** BigInt(decimalsMax)
const perPenny = perUnit / 100n

/** Undefined when the text is no plain decimal number, or has more than eight decimals. */
export function parsePrice(text: string): Price | undefined {
  const match = /^(-?)(\d{1,15})(?:\.(\d{1,8}))?$/.exec(text)
  if (!match) return undefined
  const digits = BigInt(match[2]! + (match[3] ?? '').padEnd(decimalsMax, '0'))
  return match[1] === '-' ? -digits : digits
}

/** Pennies a unit, or undefined when the price has fractions of a penny. */
export const wholePennies = (price: Price): number | undefined =>
  price % perPenny === 0n ? Number(price / perPenny) : undefined

/** Quantity × price in pennies, rounded half up. For quantities and prices above 0. */
export const lineAmount = (price: Price, quantity: number): number =>
  Number((price * BigInt(quantity) + perPenny / 2n) / perPenny)

/** As a decimal number with at least two decimals: 10305892.024, 6.10. */
export function formatPrice(price: Price): string {
  const digits = (price < 0n ? -price : price).toString().padStart(decimalsMax + 1, '0')
  const decimals = digits.slice(-decimalsMax).replace(/0{1,6}$/, '')
  return `${price < 0n ? '-' : ''}${digits.slice(0, -decimalsMax)}.${decimals}`
}

/** Integer pennies with thousands separated: 10,305,892.01. */
export function formatPennies(pennies: number): string {
  const text = formatPrice(BigInt(pennies) * perPenny)
  return text.replace(/\B(?=(\d{3})+\.)/g, ',')
}
