// Money is integer minor units of an ISO 4217 currency; amounts never meet floating point.

export type Currency = string & { readonly __brand: 'Currency' }
export type MinorUnits = number & { readonly __brand: 'MinorUnits' }
export type Money = { amount: MinorUnits; currency: Currency }

/** 10^12 minor units: the largest single amount; 2,000 lines of it still fit a safe integer. */
export const amountMax = 1_000_000_000_000

/** Active ISO 4217 codes as the runtime's ICU knows them, in upper case. */
const currencies: ReadonlySet<string> = new Set(Intl.supportedValuesOf('currency'))

export const isCurrency = (text: string): text is Currency => currencies.has(text)
