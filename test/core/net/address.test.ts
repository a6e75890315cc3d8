import { isIP } from 'node:net'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseAddress, parseNetwork } from '../../../src/core/net/address.ts'

function read(text: string): string {
  const words = new Uint32Array(4)
  const family = parseAddress(text, words)
  if (family === 0) return 'none'
  return `${family}: ${[...words.subarray(0, family === 4 ? 1 : 4)].map((word) => word.toString(16)).join(' ')}`
}

describe('parseAddress', () => {
  it.each([
    ['192.0.2.1', '4: c0000201'],
    ['0.0.0.0', '4: 0'],
    ['255.255.255.255', '4: ffffffff'],
    ['::', '6: 0 0 0 0'],
    ['::1', '6: 0 0 0 1'],
    ['1::', '6: 10000 0 0 0'],
    ['2001:db8::1', '6: 20010db8 0 0 1'],
    ['2001:DB8:0:0:0:0:0:1', '6: 20010db8 0 0 1'],
    ['2001:0db8:0000:0000:0000:0000:0000:0001', '6: 20010db8 0 0 1'],
    ['1:2:3:4:5:6:7::', '6: 10002 30004 50006 70000'],
    ['::2:3:4:5:6:7:8', '6: 2 30004 50006 70008'],
    ['64:ff9b::192.0.2.1', '6: 64ff9b 0 0 c0000201'],
    ['1:2:3:4:5:6:192.0.2.1', '6: 10002 30004 50006 c0000201'],
    ['::ffff:192.0.2.1', '4: c0000201'],
    ['::FFFF:c000:201', '4: c0000201'],
    ['fe80::1%eth0', '6: fe800000 0 0 1'],
  ])('reads %s', (text, words) => {
    expect(read(text)).toBe(words)
  })

  it.each(
    [
      [
        '',
        'a',
        ':',
        '1',
        '1:',
        ':1',
        '1.2.3',
        '1.2.3.4.5',
        '1.2.3.',
        '.1.2.3',
        '1..2.3',
        '256.1.1.1',
        '01.2.3.4',
        '1.2.3.04',
      ],
      [' 1.2.3.4', '1.2.3.4 ', '+1.2.3.4', '1.2.3.4:80', '1.2.3.4/32', '1.2.3.4%eth0', '0x1.2.3.4', '1e1.2.3.4'],
      [
        '1::2::3',
        ':::',
        '1:2:3:4:5:6:7',
        '1:2:3:4:5:6:7:8:9',
        '1:2:3:4:5:6:7:8::',
        '::1:2:3:4:5:6:7:8',
        '12345::',
        'g::',
      ],
      ['1:2:3:4:5:6:7:1.2.3.4', '::1.2.3.4:5', '::1.2.3', '[::1]', '::1/128', '%eth0', '::1%', 'dead.beef', 'café'],
    ].flat(),
  )('reads no address in %j', (text) => {
    expect(read(text)).toBe('none')
  })

  it('takes what Node takes, and nothing else', () => {
    const group = fc.oneof(fc.constantFrom('', '0', '1', 'ffff', 'FFFF', '00001', 'g', '255', '256', '01', '1.2.3.4'))
    const text = fc
      .array(fc.tuple(group, fc.constantFrom(':', ':', ':', '::', '.', '')), { maxLength: 9 })
      .map((parts) => parts.flat().join(''))
    fc.assert(
      fc.property(text, (candidate) => {
        expect(read(candidate) !== 'none').toBe(isIP(candidate) !== 0)
      }),
      { numRuns: 5000 },
    )
  })

  it('reads every spelling of an address as the same', () => {
    fc.assert(
      fc.property(fc.ipV6(), (address) => {
        const { hostname } = new URL(`http://[${address}]/`)
        expect(read(address)).toBe(read(hostname.slice(1, -1)))
      }),
      { numRuns: 2000 },
    )
  })
})

describe('parseNetwork', () => {
  it.each([
    ['10.1.2.3/8', { family: 4, words: [0x0a000000], prefix: 8 }],
    ['10.1.2.3', { family: 4, words: [0x0a010203], prefix: 32 }],
    ['255.255.255.255/0', { family: 4, words: [0], prefix: 0 }],
    ['255.255.255.255/1', { family: 4, words: [0x80000000], prefix: 1 }],
    ['2001:db8:1:2::/33', { family: 6, words: [0x20010db8, 0, 0, 0], prefix: 33 }],
    ['2001:db8:8001:2::/33', { family: 6, words: [0x20010db8, 0x80000000, 0, 0], prefix: 33 }],
    ['::1', { family: 6, words: [0, 0, 0, 1], prefix: 128 }],
    ['::ffff:10.1.2.3/104', { family: 4, words: [0x0a000000], prefix: 8 }],
    ['::ffff:0:0/95', { family: 6, words: [0, 0, 0xfffe, 0], prefix: 95 }],
  ])('reads %s', (text, network) => {
    expect(parseNetwork(text)).toEqual(network)
  })

  it.each([
    '10.0.0.0/33',
    '10.0.0.0/',
    '10.0.0.0/08',
    '10.0.0.0/-1',
    '10.0.0.0/8/8',
    '::/129',
    'a/8',
    '/8',
    'fe80::1%eth0',
    '10/8',
  ])('reads no network in %s', (text) => {
    expect(parseNetwork(text)).toBeUndefined()
  })
})
