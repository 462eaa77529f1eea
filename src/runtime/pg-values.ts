// How values cross between JavaScript and PostgreSQL: int8 as a number that is asserted to be safe, timestamptz as an
// Instant, JSON text as it is, and arrays as ready-made literals, which the driver then does not touch.
import { assert } from '../base/assert.ts'
import { type Instant, instant } from '../base/time.ts'

/** What a statement's `$n` may be. Arrays go in as literals made below, cast in the statement: `unnest($1::uuid[])`. */
export type Param = string | number | boolean | bigint | null

/** Type handlers of postgres.js, by the server's type oid. */
export const driverTypes = {
  int8: { to: 20, from: [20], serialize: String, parse: safeInteger },
  timestamptz: { to: 1184, from: [1184], serialize: timestampText, parse: instantOf },
  date: { to: 1082, from: [1082, 1114], serialize: String, parse: String }, // local dates have no instant
  json: { to: 114, from: [114, 3802], serialize: jsonText, parse: (text: string) => JSON.parse(text) },
  int8Array: {
    to: 1016,
    from: [1016, 1007, 1005],
    serialize: String,
    parse: (text: string) => items(text).map(safeInteger),
  },
  uuidArray: { to: 2951, from: [2951], serialize: String, parse: items },
  textArray: { to: 1009, from: [1009, 1015, 199, 3807, 1115, 1185, 1231], serialize: String, parse: refuseArray },
}

function safeInteger(text: string): number {
  const number = Number(text)
  assert(Number.isSafeInteger(number), `int8 ${text} does not fit a safe integer`)
  return number
}

/** `2026-11-23 05:00:00.123456+00` to milliseconds; sessions run in UTC. */
function instantOf(text: string): Instant {
  const ms = Date.parse(`${text.replace(' ', 'T')}:00`) // PostgreSQL writes `+00`; other forms are guessed at by Date.parse
  assert(!Number.isNaN(ms), `timestamptz ${text} has no instant`)
  return instant(ms)
}

function timestampText(value: number | string): string {
  return typeof value === 'string' ? value : new Date(value).toISOString()
}

/** A string is JSON text already; the driver's own handler would quote it again. */
function jsonText(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}

function items(text: string): string[] {
  return text === '{}' ? [] : text.slice(1, -1).split(',')
}

function refuseArray(): never {
  return assert(false, 'arrays of text come back as json: select to_json(x)') as never
}

/** Items that need no quoting: uuids, integers, hex, fixed words. 200 uuids take 5 µs, the driver's own way 38. */
export const bareArray = (values: readonly (string | number)[]): string => `{${values.join(',')}}`

const needsEscape = /["\\]/

/** Any text; null stays null. 200 SKUs take 10 µs, the driver's own way 45. */
export function textArray(values: readonly (string | null)[]): string {
  let text = '{'
  for (const value of values) {
    if (text.length > 1) text += ','
    if (value === null) text += 'null'
    else text += needsEscape.test(value) ? `"${value.replace(/["\\]/g, '\\$&')}"` : `"${value}"`
  }
  return `${text}}`
}

/** Numbers or null. */
export function numberArray(values: readonly (number | null)[]): string {
  let text = '{'
  for (let at = 0; at < values.length; at++) text += at === 0 ? values[at] : `,${values[at]}`
  return `${text}}`
}

/**
 * Many JSON texts as one parameter, split in the statement by `string_to_table($1, E'\n')`: JSON written by JSON.stringify
 * holds no raw line feed. 200 small orders take 7 µs, quoted inside an array literal 300, and the server has to unquote them.
 */
export const jsonLines = (texts: readonly string[]): string => texts.join('\n')
