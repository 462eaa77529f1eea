// A place in a cell's event log: the life of the database it counts in, and a seq. Opaque outside: base64url of a format
// byte, the incarnation and the seq. Over several cells it is a vector: a place in each of their logs.
import { type CellName, isCellName, type Uuid } from '../base/ids.ts'

export type Position = { incarnation: Uuid; seq: number }

const format = 1

export function formatPosition(position: Position): string {
  const bytes = Buffer.alloc(23)
  bytes.writeUInt8(format, 0)
  bytes.write(position.incarnation.replaceAll('-', ''), 1, 'hex')
  bytes.writeUIntBE(position.seq, 17, 6)
  return bytes.toString('base64url')
}

/** Undefined for whatever formatPosition has not written. */
export function parsePosition(text: string): Position | undefined {
  if (!/^[A-Za-z0-9_-]{31}$/.test(text)) return undefined
  const bytes = Buffer.from(text, 'base64url')
  if (bytes.length !== 23 || bytes[0] !== format || bytes.toString('base64url') !== text) return undefined
  const hex = bytes.toString('hex', 1, 17)
  const groups = [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)]
  return { incarnation: groups.join('-') as Uuid, seq: bytes.readUIntBE(17, 6) }
}

/** Positions as text, by cell. A cell that is not in it is read from its oldest event. */
export type PositionVector = ReadonlyMap<CellName, string>

export const formatVector = (vector: PositionVector): string => ['v1', ...[...vector].flat()].join('.')

/** Undefined for whatever formatVector has not written. */
export function parseVector(text: string): PositionVector | undefined {
  const [version, ...parts] = text.split('.')
  if (version !== 'v1' || parts.length % 2 !== 0) return undefined
  const vector = new Map<CellName, string>()
  for (let at = 0; at < parts.length; at += 2) {
    const [cell, position] = [parts[at]!, parts[at + 1]!]
    if (!isCellName(cell) || vector.has(cell) || !parsePosition(position)) return undefined
    vector.set(cell, position)
  }
  return vector
}
