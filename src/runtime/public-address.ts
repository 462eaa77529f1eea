// Which addresses a stranger's URL may lead to: those of the public Internet alone. The table of special ranges is that of
// ipaddr.js; what is not plainly unicast there is refused, forms that carry an IPv4 address inside included.
import ipaddr from 'ipaddr.js'

/** False for private, loopback, link-local, multicast, carrier, documentation, mapped, translated … and what is no address. */
export function isPublicAddress(text: string): boolean {
  if (!ipaddr.isValid(text) || text.includes('%')) return false
  const address = ipaddr.parse(text)
  if (address.range() !== 'unicast') return false
  if (address.kind() === 'ipv4') return true
  // 2000::/3 is all of IPv6 that was ever given out; ::127.0.0.1 and the like lie outside.
  return (address.toByteArray()[0]! & 0xe0) === 0x20
}
