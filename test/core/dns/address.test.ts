import { isIPv6, SocketAddress } from 'node:net'
import fc from 'fast-check'
import { describe, expect, it, test } from 'vitest'
import { canonicalAddress, isPublic, reversedAddress } from '../../../src/core/dns/address.ts'

describe('the one spelling of an address', () => {
  test.each([
    ['192.0.2.99', '192.0.2.99'],
    ['0.0.0.0', '0.0.0.0'],
    ['255.255.255.255', '255.255.255.255'],
    ['2001:db8::1', '2001:0db8:0000:0000:0000:0000:0000:0001'],
    ['2001:DB8:0:0:0:0:0:1', '2001:0db8:0000:0000:0000:0000:0000:0001'],
    ['::', '0000:0000:0000:0000:0000:0000:0000:0000'],
    ['2001:db8::192.0.2.33', '2001:0db8:0000:0000:0000:0000:c000:0221'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['::FFFF:c000:201', '192.0.2.1'],
    ['fe80::1%eth0', 'fe80:0000:0000:0000:0000:0000:0000:0001'],
  ])('of %s is %s', (text, spelling) => {
    expect(canonicalAddress(text)).toBe(spelling)
  })

  test.each([
    '',
    'x',
    '1.2.3',
    '1.2.3.4.5',
    '1.2.3.256',
    '01.2.3.4',
    ' 1.2.3.4',
    '1.2.3.4:80',
    '[::1]',
    '1.2.3.0/24',
    ':::',
    'example.org',
  ])('is none for the text %j', (text) => {
    expect(canonicalAddress(text)).toBeUndefined()
  })

  it('is an address that Node reads as the same', () => {
    fc.assert(
      fc.property(fc.ipV6(), (text) => {
        const spelling = canonicalAddress(text) ?? ''
        const plain = (address: string) => new SocketAddress({ address, family: 'ipv6' }).address
        expect(plain(isIPv6(spelling) ? spelling : `::ffff:${spelling}`)).toBe(plain(text))
      }),
    )
  })
})

describe('addresses that no list is asked for', () => {
  test.each([
    ['0.0.0.0', '0.255.255.255', '1.0.0.0'],
    ['10.0.0.0', '10.255.255.255', '11.0.0.0'],
    ['100.64.0.0', '100.127.255.255', '100.128.0.0'],
    ['127.0.0.0', '127.255.255.255', '128.0.0.0'],
    ['169.254.0.0', '169.254.255.255', '169.255.0.0'],
    ['172.16.0.0', '172.31.255.255', '172.32.0.0'],
    ['192.168.0.0', '192.168.255.255', '192.169.0.0'],
    ['224.0.0.0', '239.255.255.255', '240.0.0.0'],
    ['::', '::1', '::2'],
    ['fc00::', 'fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff', 'fbff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'],
    ['fe80::', 'fe80::1%eth0', '2001:db8::1'],
    ['fec0::', 'feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff', 'fe7f:ffff:ffff:ffff:ffff:ffff:ffff:ffff'],
    ['ff00::', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff', '::fffe:0a00:1'],
    ['::ffff:10.0.0.1', '::ffff:127.0.0.1', '::ffff:8.8.8.8'],
    ['255.255.255.255', '255.255.255.255', '255.255.255.254'],
  ])('%s to %s are, %s is not', (first, last, outside) => {
    expect([first, last, outside].map(isPublic)).toEqual([false, false, true])
  })

  test.each(['9.255.255.255', '126.255.255.255', '172.15.255.255', '192.0.2.1', '198.51.100.1', '203.0.113.1'])(
    '%s is public',
    (address) => {
      expect(isPublic(address)).toBe(true)
    },
  )
})

test.each([
  ['192.0.2.99', '99.2.0.192'],
  // The example of RFC 5782, section 2.4.
  ['2001:db8:1:2:3:4:567:89ab', 'b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2'],
])('the name of %s in a list is %s', (address, name) => {
  expect(reversedAddress(canonicalAddress(address) ?? '')).toBe(name)
})
