// JSON as we take it (RFC 8259, and I-JSON's rules of RFC 7493 besides): no member twice, no lone surrogate, no NUL (which
// PostgreSQL text cannot hold), bounded depth. And the canonical form by which two bodies are compared.

export type Json = null | boolean | number | string | Json[] | { [name: string]: Json }

export type JsonFault =
  /** `syntax`, `duplicate_member` and `too_deep` concern the whole text; `text` the string at the pointer. */
  { code: 'syntax' | 'duplicate_member' | 'too_deep' } | { code: 'text'; pointer: string }

export type ParsedJson = { ok: true; value: Json } | { ok: false; fault: JsonFault }

/** Deeper than any body of ours; beyond it recursion would be the caller's to choose. */
const depthMax = 16

export function parseJson(text: string): ParsedJson {
  const shape = shapeOf(text)
  if (shape.depth > depthMax) return refused({ code: 'too_deep' })
  let value: Json
  try {
    value = JSON.parse(text)
  } catch {
    return refused({ code: 'syntax' })
  }
  // JSON.parse keeps the last of two equal members, so fewer are left than were written.
  if (membersOf(value) !== shape.members) return refused({ code: 'duplicate_member' })
  if (text.includes('\\u')) {
    const pointer = pointerToBadText(value, '')
    if (pointer !== undefined) return refused({ code: 'text', pointer })
  }
  return { ok: true, value }
}

const refused = (fault: JsonFault): ParsedJson => ({ ok: false, fault })

/** Members written and depth reached, read off the text before it is parsed (0.4 µs for an order of 360 bytes). */
function shapeOf(text: string): { members: number; depth: number } {
  const hasEscapes = text.includes('\\')
  let members = 0
  let level = 0
  let depth = 0
  for (let at = 0; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case 0x22: // "
        at = endOfString(text, at, hasEscapes)
        break
      case 0x3a: // :
        members++
        break
      case 0x5b: // [
      case 0x7b: // {
        if (++level > depth) depth = level
        break
      case 0x5d:
      case 0x7d:
        level--
    }
  }
  return { members, depth }
}

/** The index of the closing quote; the text's end when there is none. */
function endOfString(text: string, start: number, hasEscapes: boolean): number {
  let end = start
  do end = text.indexOf('"', end + 1)
  while (hasEscapes && end > 0 && isEscaped(text, end))
  return end < 0 ? text.length : end
}

function isEscaped(text: string, at: number): boolean {
  let backslashes = 0
  while (text.charCodeAt(at - 1 - backslashes) === 0x5c) backslashes++
  return backslashes % 2 === 1
}

function membersOf(value: Json): number {
  if (typeof value !== 'object' || value === null) return 0
  let members = 0
  if (Array.isArray(value)) {
    for (let at = 0; at < value.length; at++) members += membersOf(value[at]!)
    return members
  }
  for (const name in value) members += 1 + membersOf(value[name]!)
  return members
}

const isGoodText = (text: string): boolean => text.isWellFormed() && !text.includes('\0')

function pointerToBadText(value: Json, pointer: string): string | undefined {
  if (typeof value === 'string') return isGoodText(value) ? undefined : pointer
  if (typeof value !== 'object' || value === null) return undefined
  for (const [name, item] of Object.entries(value)) {
    if (!isGoodText(name)) return pointer
    const found = pointerToBadText(item, `${pointer}/${pointerToken(name)}`)
    if (found !== undefined) return found
  }
  return undefined
}

/** A member's name inside a JSON pointer (RFC 6901). */
export const pointerToken = (name: string): string => name.replaceAll('~', '~0').replaceAll('/', '~1')

/** Strings that need no escape: printable ASCII without quote and backslash. */
const plain = /^[ !#-[\]-~]*$/

/** JSON.stringify of a string; most need no escape, and then this is five times faster. */
export const quoted = (text: string): string => (plain.test(text) ? `"${text}"` : JSON.stringify(text))

/** The one text of equal values: members sorted by UTF-16 code units, no spaces, numbers as ECMAScript writes them (RFC 8785). */
export function canonicalJson(value: Json): string {
  if (typeof value === 'string') return quoted(value)
  if (typeof value !== 'object' || value === null) return Object.is(value, -0) ? '0' : `${value}`
  if (Array.isArray(value)) {
    let text = '['
    for (let at = 0; at < value.length; at++)
      text += at === 0 ? canonicalJson(value[at]!) : `,${canonicalJson(value[at]!)}`
    return `${text}]`
  }
  let text = '{'
  for (const name of sortedNames(value)) {
    text += `${text.length === 1 ? '' : ','}${quoted(name)}:${canonicalJson(value[name]!)}`
  }
  return `${text}}`
}

/** By insertion: bodies have few members, nearly in one order, and this is a third faster than `sort` there. */
function sortedNames(value: { [name: string]: Json }): string[] {
  const names = Object.keys(value)
  if (names.length > 32) return names.sort()
  for (let at = 1; at < names.length; at++) {
    const name = names[at]!
    let to = at
    for (; to > 0 && names[to - 1]! > name; to--) names[to] = names[to - 1]!
    names[to] = name
  }
  return names
}
