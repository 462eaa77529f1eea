// How the auditor reads ids: written apart from base/ids.ts.
import type { Uuid } from '../../src/base/ids.ts'

/** The part of an id's text that is its UUID, written apart from base/ids.ts. */
export function nameOf(id: Uuid): string {
  const digits = '0123456789abcdefghjkmnpqrstvwxyz'
  let rest = BigInt(`0x${id.replaceAll('-', '')}`)
  let text = ''
  for (let place = 0; place < 26; place++) {
    text = digits[Number(rest & 31n)] + text
    rest >>= 5n
  }
  return text
}

/** `ord_eu1_01k3…` without prefix and cell. */
export const bareName = (subject: string): string => /^[a-z]{3}_[a-z0-9]+_(.*)$/.exec(subject)?.[1] ?? subject

/** Shops may sell the same SKU. */
export const keyOfSku = ({ shopId, sku }: { shopId: number; sku: string }): string => `${shopId} ${sku}`
