// Which of some cells owns a text, such as a key: the one whose weight with it is the highest (rendezvous hashing, Thaler and
// Ravishankar 1998). Everybody who knows the same cells finds the same owner, and a cell that comes or goes moves only the
// texts that it gains or had. The weights are part of what cells agree on: they never change between versions.
import { assert } from './assert.ts'
import type { CellName } from './ids.ts'

/** The owner, whatever the order of the candidates; there must be one at least. */
export function ownerAmong(candidates: readonly CellName[], text: string): CellName {
  assert(candidates.length > 0, 'an owner is among some cells')
  let owner = candidates[0]!
  let highest = weight(owner, text)
  for (let at = 1; at < candidates.length; at++) {
    const candidate = candidates[at]!
    const found = weight(candidate, text)
    if (found > highest || (found === highest && candidate > owner)) {
      owner = candidate
      highest = found
    }
  }
  return owner
}

/** 53 bits of cell and text (cyrb53, by bryc, public domain): not for secrets. A cell's name has no space. */
function weight(cell: CellName, text: string): number {
  let a = 0xdeadbeef
  let b = 0x41c6ce57
  const all = `${cell} ${text}`
  for (let at = 0; at < all.length; at++) {
    const unit = all.charCodeAt(at)
    a = Math.imul(a ^ unit, 2_654_435_761)
    b = Math.imul(b ^ unit, 1_597_334_677)
  }
  a = Math.imul(a ^ (a >>> 16), 2_246_822_507) ^ Math.imul(b ^ (b >>> 13), 3_266_489_909)
  b = Math.imul(b ^ (b >>> 16), 2_246_822_507) ^ Math.imul(a ^ (a >>> 13), 3_266_489_909)
  return (b & 0x1f_ffff) * 0x1_0000_0000 + (a >>> 0)
}
