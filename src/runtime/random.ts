// Randomness for ids. Bytes are drawn from the system in blocks: one call of the kernel per 512 ids instead of one each.
import { randomFillSync, randomUUID } from 'node:crypto'
import type { Uuid } from '../base/ids.ts'

/** For ids that need not grow in time; version 4. */
export const randomUuid = (): Uuid => randomUUID() as Uuid

const idBytes = 10
const pool = Buffer.allocUnsafeSlow(512 * idBytes)
let used = pool.length

/** Ten bytes, good until the next 511 calls have been made: for uuidV7, which uses them at once. */
export function randomIdBytes(): Uint8Array {
  if (used === pool.length) {
    randomFillSync(pool)
    used = 0
  }
  used += idBytes
  return pool.subarray(used - idBytes, used)
}
