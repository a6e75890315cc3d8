// The name servers of an action: how they are written, and how long a name may be.
import { isIP, isIPv6 } from 'node:net'
import { z } from 'zod'

/** Characters of a domain: 64 stand before it for an IPv6 address, and a name has 253. */
const maxDomainLength = 253 - 64

/** `ip`, `ip:port` or `[ip]:port`. */
export const serverParam = z
  .string()
  .refine(isServer, 'this is no IP address and no address with a port, such as 127.0.0.1:53 or [::1]:53')
  .meta({ title: 'server' })

/** The domain of a list. */
export const domainParam = z
  .string()
  .max(maxDomainLength, `a domain has at most ${maxDomainLength} characters here`)
  .regex(/^(?:[\w-]{1,63}\.)*[\w-]{1,63}\.?$/, 'this is no domain name')
  .meta({ title: 'domain' })

function isServer(text: string): boolean {
  if (isIP(text) !== 0) return !text.includes('%')
  const [, bracketed, plain, port] = /^(?:\[([^\]%]*)\]|([^:]*)):(\d{1,5})$/.exec(text) ?? []
  const number = Number(port)
  if (!(number >= 1 && number <= 65_535)) return false
  return bracketed === undefined ? isIP(plain ?? '') === 4 : isIPv6(bracketed)
}
