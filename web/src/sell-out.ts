// When a SKU will be sold out, in words.
import { formatDuration } from './formats.ts'
import { secondsToSellOut } from './sales.ts'

export function sellOutWords(available: number, unitsPerSecond: number): string {
  const seconds = secondsToSellOut(available, unitsPerSecond)
  if (seconds === null) return '–'
  return seconds === 0 ? 'sold out' : `in ${formatDuration(seconds)}`
}
