import { BlockList } from 'node:net'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseNetwork } from '../../../src/core/net/address.ts'
import { type NetworkSet, NetworkSetBuilder } from '../../../src/core/net/network-set.ts'

/** Builds the set in steps; `steps` counts them. */
function build(entries: readonly string[]): { set: NetworkSet; steps: number } {
  const builder = new NetworkSetBuilder()
  for (const [index, entry] of entries.entries()) {
    const network = parseNetwork(entry)
    if (network !== undefined) builder.add(network, index)
  }
  const building = builder.build()
  for (let steps = 0; ; steps++) {
    const step = building.next()
    if (step.done) return { set: step.value, steps }
  }
}

describe('NetworkSet', () => {
  it.each([
    { title: 'nothing in an empty list', entries: [], address: '10.0.0.1', found: [] },
    { title: 'the address itself', entries: ['10.0.0.1', '10.0.0.2'], address: '10.0.0.2', found: [1] },
    {
      title: 'the narrowest first',
      entries: ['10.0.0.0/8', '0.0.0.0/0', '10.1.0.0/16', '10.1.2.3'],
      address: '10.1.2.3',
      found: [3, 2, 0, 1],
    },
    {
      title: 'one around others that end before',
      entries: ['10.0.0.0/8', '10.1.0.0/16', '10.1.1.0/24'],
      address: '10.9.9.9',
      found: [0],
    },
    { title: 'the first and the last address', entries: ['10.0.0.4/30'], address: '10.0.0.7', found: [0] },
    { title: 'not the one after the last', entries: ['10.0.0.4/30'], address: '10.0.0.8', found: [] },
    {
      title: 'the first number of one that comes twice',
      entries: ['10.0.0.0/8', '10.9.9.9/8'],
      address: '10.0.0.0',
      found: [0],
    },
    { title: 'IPv6', entries: ['2001:db8::/32', '::/0', '2001:db8::1'], address: '2001:DB8:0::1', found: [2, 0, 1] },
    { title: 'IPv4 in IPv6', entries: ['10.0.0.0/8'], address: '::ffff:10.1.1.1', found: [0] },
    { title: 'no IPv4 in a network of IPv6', entries: ['::/0'], address: '10.1.1.1', found: [] },
    { title: 'nothing for what is no address', entries: ['0.0.0.0/0', '::/0'], address: '10.1.1', found: [] },
  ])('finds $title', ({ entries, address, found }) => {
    const { set } = build(entries)
    expect(set.find(address)).toEqual(found)
    expect(set.has(address)).toBe(found.length > 0)
  })

  it.each([
    {
      family: 'ipv4' as const,
      address: fc
        .array(fc.constantFrom(0, 1, 10, 128, 255), { minLength: 4, maxLength: 4 })
        .map((parts) => parts.join('.')),
      bits: 32,
    },
    {
      family: 'ipv6' as const,
      address: fc
        .array(fc.constantFrom('0', '1', '8000', 'ffff', '2001'), { minLength: 7, maxLength: 7 })
        .map((parts) => `2001:${parts.join(':')}`),
      bits: 128,
    },
  ])('agrees with node:net BlockList on $family, network by network', ({ family, address, bits }) => {
    const entry = fc.record({ address, prefix: fc.integer({ min: 0, max: bits }) })
    fc.assert(
      fc.property(
        fc.array(entry, { maxLength: 30 }),
        fc.array(address, { minLength: 1, maxLength: 10 }),
        (entries, asked) => {
          const { set } = build(entries.map((one) => `${one.address}/${one.prefix}`))
          for (const one of asked) {
            const expected = entries.flatMap((network, index) => {
              const list = new BlockList()
              list.addSubnet(network.address, network.prefix, family)
              return list.check(one, family) ? [{ index, prefix: network.prefix }] : []
            })
            // Networks around one address are the same when their prefixes are.
            const once = expected.filter(
              ({ prefix }, at) => expected.findIndex((other) => other.prefix === prefix) === at,
            )
            once.sort((a, b) => b.prefix - a.prefix)
            expect(set.find(one)).toEqual(once.map(({ index }) => index))
            expect(set.has(one)).toBe(once.length > 0)
          }
        },
      ),
      { numRuns: 500 },
    )
  })

  it('sorts a long list right, in many steps', () => {
    // Multiplication by an odd number goes through all addresses in a mixed order.
    const count = 20_000
    const entries = Array.from({ length: count }, (_, index) => {
      const number = Math.imul(index, 2_654_435_761) >>> 0
      return `${number >>> 24}.${(number >>> 16) & 255}.${(number >>> 8) & 255}.${number & 255}`
    })
    const { set, steps } = build([...entries, '0.0.0.0/0'])
    expect(set.size).toBe(count + 1)
    for (const [index, entry] of entries.entries()) expect(set.find(entry)).toEqual([index, count])
    expect(set.find('1.2.3.4')).toEqual([count])
    expect(steps).toBeGreaterThan(50)
  })
})
