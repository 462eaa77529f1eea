// How numbers, money, times and sizes are written, for the browser's locale unless another is given. Money is in minor units,
// whose number of digits is the currency's.

type Money = { amount: number; currency: string }

const kept = new Map<string, Intl.NumberFormat>()

function numberFormat(locale: string | undefined, options: Intl.NumberFormatOptions): Intl.NumberFormat {
  const name = `${locale}${JSON.stringify(options)}`
  const format = kept.get(name) ?? new Intl.NumberFormat(locale, options)
  kept.set(name, format)
  return format
}

export const formatCount = (value: number, locale?: string): string =>
  numberFormat(locale, { maximumFractionDigits: 0 }).format(value)

/** Of something per second: one digit after the point while it is small. */
export const formatRate = (value: number, locale?: string): string =>
  numberFormat(locale, {
    minimumFractionDigits: value > 0 && value < 10 ? 1 : 0,
    maximumFractionDigits: value < 10 ? 1 : 0,
  }).format(value)

/** Rounded down, so that what is not all does not look as if it were. */
export const formatShare = (share: number, locale?: string): string =>
  numberFormat(locale, { style: 'percent', maximumFractionDigits: 2, roundingMode: 'floor' }).format(share)

export function formatMoney({ amount, currency }: Money, locale?: string): string {
  const format = numberFormat(locale, { style: 'currency', currency })
  return format.format(amount / 10 ** (format.resolvedOptions().maximumFractionDigits ?? 2))
}

/** Short, for sums of which the last digits do not matter. */
export function formatMoneyShort({ amount, currency }: Money, locale?: string): string {
  const digits = numberFormat(locale, { style: 'currency', currency }).resolvedOptions().maximumFractionDigits ?? 2
  const value = amount / 10 ** digits
  const options: Intl.NumberFormatOptions = {
    style: 'currency',
    currency,
    notation: 'compact',
    maximumFractionDigits: 1,
  }
  return numberFormat(
    locale,
    value < 10_000 ? { ...options, notation: 'standard', maximumFractionDigits: 0 } : options,
  ).format(value)
}

export function formatMs(ms: number, locale?: string): string {
  if (ms >= 10_000) return `${numberFormat(locale, { maximumFractionDigits: 0 }).format(ms / 1000)} s`
  if (ms >= 1000) return `${numberFormat(locale, { maximumFractionDigits: 1 }).format(ms / 1000)} s`
  return `${numberFormat(locale, { maximumFractionDigits: ms < 10 ? 1 : 0 }).format(ms)} ms`
}

export function formatBytes(bytes: number, locale?: string): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB']
  const power = Math.min(units.length - 1, bytes < 1 ? 0 : Math.floor(Math.log10(bytes) / 3))
  return `${numberFormat(locale, { maximumFractionDigits: power > 2 ? 1 : 0 }).format(bytes / 1000 ** power)} ${units[power]}`
}

/** The two largest parts: `3 min 20 s`. */
export function formatDuration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds))
  const parts: [number, string][] = [
    [Math.floor(whole / 86_400), 'd'],
    [Math.floor(whole / 3600) % 24, 'h'],
    [Math.floor(whole / 60) % 60, 'min'],
    [whole % 60, 's'],
  ]
  const first = parts.findIndex(([count]) => count > 0)
  if (first === -1) return '0 s'
  return parts
    .slice(first, first + 2)
    .filter(([count]) => count > 0)
    .map(([count, unit]) => `${count} ${unit}`)
    .join(' ')
}

export function formatAgo(at: number, now: number): string {
  const seconds = Math.round((now - at) / 1000)
  return seconds < 2 ? 'now' : `${formatDuration(seconds < 120 ? seconds : Math.floor(seconds / 60) * 60)} ago`
}

export type TimeStyle = 'clock' | 'day' | 'moment' | 'full'

const timeStyles: Record<TimeStyle, Intl.DateTimeFormatOptions> = {
  clock: { hour: '2-digit', minute: '2-digit', second: '2-digit' },
  day: { month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit' },
  moment: { month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit', second: '2-digit' },
  full: { dateStyle: 'full', timeStyle: 'long' },
}

const times = new Map<string, Intl.DateTimeFormat>()

/** `full` says the zone. */
export function formatTime(at: string | number, style: TimeStyle, locale?: string, timeZone?: string): string {
  const name = `${locale}${style}${timeZone}`
  const format = times.get(name) ?? new Intl.DateTimeFormat(locale, { ...timeStyles[style], timeZone })
  times.set(name, format)
  return format.format(new Date(at))
}

/** `in_review` → `in review`. */
export const inWords = (code: string): string => code.replaceAll('_', ' ').replaceAll('-', ' ')

export const capitalized = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1)
