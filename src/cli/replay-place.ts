// What the file's local words mean to us: its country names as ISO codes, its UK wall clock as UTC.

/**
 * The names that both years of the file use. Four name no one country and so have no code: Channel Islands (Guernsey and
 * Jersey have one each), European Community, West Indies, Unspecified. Korea is taken as the South, who trades with the UK.
 */
const codes: Readonly<Record<string, string>> = {
  Australia: 'AU',
  Austria: 'AT',
  Bahrain: 'BH',
  Belgium: 'BE',
  Bermuda: 'BM',
  Brazil: 'BR',
  Canada: 'CA',
  Cyprus: 'CY',
  'Czech Republic': 'CZ',
  Denmark: 'DK',
  EIRE: 'IE',
  Finland: 'FI',
  France: 'FR',
  Germany: 'DE',
  Greece: 'GR',
  'Hong Kong': 'HK',
  Iceland: 'IS',
  Israel: 'IL',
  Italy: 'IT',
  Japan: 'JP',
  Korea: 'KR',
  Lebanon: 'LB',
  Lithuania: 'LT',
  Malta: 'MT',
  Netherlands: 'NL',
  Nigeria: 'NG',
  Norway: 'NO',
  Poland: 'PL',
  Portugal: 'PT',
  RSA: 'ZA',
  'Saudi Arabia': 'SA',
  Singapore: 'SG',
  Spain: 'ES',
  Sweden: 'SE',
  Switzerland: 'CH',
  Thailand: 'TH',
  USA: 'US',
  'United Arab Emirates': 'AE',
  'United Kingdom': 'GB',
}

/** Undefined for a name without an ISO 3166-1 code. */
export const countryCode = (name: string): string | undefined => (Object.hasOwn(codes, name) ? codes[name] : undefined)

/** The file's own form of a time; its text sorts as the time does. */
export const isLocalTime = (text: string): boolean =>
  /^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01]) ([01]\d|2[0-3]):[0-5]\d:[0-5]\d$/.test(text) &&
  new Date(`${text.slice(0, 10)}T00:00:00Z`).toISOString().startsWith(text.slice(0, 10))

/**
 * RFC 3339 UTC of a wall clock in the UK. An hour that the clock shows twice is taken as its first; one that it
 * leaves out is read as if it had not been put forward.
 */
export function londonToUtc(local: string): string {
  const wall = Date.parse(`${local.replace(' ', 'T')}Z`)
  const before = londonOffsetMs(wall - dayMs)
  const after = londonOffsetMs(wall + dayMs)
  const offset = [before, after].find((one) => londonOffsetMs(wall - one) === one) ?? before
  return new Date(wall - offset).toISOString()
}

const dayMs = 24 * 60 * 60 * 1000
const hourMs = 60 * 60 * 1000

const londonClock = new Intl.DateTimeFormat('en-GB', {
  timeZone: 'Europe/London',
  hourCycle: 'h23',
  year: 'numeric',
  month: '2-digit',
  day: '2-digit',
  hour: '2-digit',
})

/** How far the UK's clock is ahead of UTC; since 1972 it is whole hours. */
function londonOffsetMs(utc: number): number {
  const hour = Math.floor(utc / hourMs) * hourMs
  const part: Record<string, string> = {}
  for (const { type, value } of londonClock.formatToParts(hour)) part[type] = value
  return Date.parse(`${part.year}-${part.month}-${part.day}T${part.hour}:00:00Z`) - hour
}
