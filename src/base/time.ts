// Instants are milliseconds since 1970 UTC, branded so that a duration cannot pass for one.

export type Instant = number & { readonly __brand: 'Instant' }

/** Earliest instant accepted anywhere: 1900, before any order, and written by PostgreSQL with four digits. */
export const instantMin = -2_208_988_800_000 as Instant
/** Latest instant accepted anywhere: 9999-12-31T23:59:59.999Z, the last that RFC 3339 can write. */
export const instantMax = 253_402_300_799_999 as Instant

export const instant = (ms: number): Instant => ms as Instant
export const addMs = (at: Instant, ms: number): Instant => (at + ms) as Instant
export const laterOf = (a: Instant, b: Instant): Instant => (a > b ? a : b)

/** RFC 3339 UTC with milliseconds. The last seconds that were asked for are remembered up to the point. */
export function toRfc3339(at: Instant): string {
  const second = Math.floor(at / 1000)
  const slot = seconds[second & 15]!
  if (slot.second !== second) {
    slot.second = second
    slot.text = new Date(at).toISOString().slice(0, -4) // `…T12:00:00.`
  }
  return `${slot.text}${String(at - second * 1000).padStart(3, '0')}Z`
}

const seconds = Array.from({ length: 16 }, () => ({ second: Number.NaN, text: '' }))

/** Milliseconds since 1970 of an RFC 3339 date-time (any offset), or undefined when it is none. */
export function parseRfc3339(text: string): Instant | undefined {
  const match = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)$/i.exec(text)
  if (!match) return undefined
  const day = Number(match[3])
  const daysInMonth = new Date(Date.UTC(Number(match[1]), Number(match[2]), 0)).getUTCDate()
  if (day > daysInMonth) return undefined // Date.parse would roll 31 April over into May
  const ms = Date.parse(text.toUpperCase())
  return Number.isNaN(ms) ? undefined : (ms as Instant)
}
