// Which URLs an endpoint may have. What a name leads to is judged when the connection is made (runtime/outbound.ts); here is
// refused what can be seen in the text, so that it is told at once.
import { refusedField } from '../../base/problem.ts'
import type { Refused } from '../../base/result.ts'
import { isPublicAddress } from '../../runtime/public-address.ts'

/** `ports` beside 443 counts outside the development profile, where http, any port and loopback are allowed. */
export type UrlRules = { publicOnly: boolean; ports: readonly number[] }

/** The URL as it will be called. */
export function endpointUrlOf(text: string, { publicOnly, ports }: UrlRules): string | Refused {
  const refusal = refusedField('url_not_allowed', '/url')
  const url = URL.parse(text)
  if (!url || url.username + url.password !== '') return refusal
  url.hash = ''
  if (!publicOnly) return url.protocol === 'https:' || url.protocol === 'http:' ? url.href : refusal
  if (url.protocol !== 'https:') return refusal
  if (url.port !== '' && !ports.includes(Number(url.port))) return refusal
  return isPublicHost(url.hostname) ? url.href : refusal
}

/** The URL parser has made an address of every way to write one: `127.1`, `0x7f000001`, `2130706433`. */
function isPublicHost(host: string): boolean {
  if (host.startsWith('[')) return isPublicAddress(host.slice(1, -1))
  if (/^[\d.]+$/.test(host)) return isPublicAddress(host)
  const name = host.replace(/\.$/, '')
  return name.includes('.') && !/(^|\.)(localhost|local|internal|home\.arpa)$/.test(name)
}
