// filter_dnsbl against a real rbldnsd, asked through a name server of the test that counts the questions.
import { describe, expect, it } from 'vitest'
import { VirtualClock } from '../../../src/core/clock.ts'
import { runDnsbl } from '../../helpers/dnsbl.ts'
import { hasRbldnsd, NameServer, startRbldnsd } from '../../helpers/rbldnsd.ts'

const zones = {
  'one.test': { listed: ['192.0.2.99', '198.51.100.0/24', '2001:db8:5::/48'] },
  'two.test': { listed: ['192.0.2.99', '192.0.2.7', '2001:db8::1'], answer: '127.0.0.10' },
  'three.test': { listed: ['192.0.2.99', '2001:db8::1'] },
}
const domains = Object.keys(zones)

describe.skipIf(!hasRbldnsd)('filter_dnsbl with a real rbldnsd (Debian package rbldnsd)', () => {
  it.each([
    { ip: '192.0.2.99', listed: domains, percent: 100 },
    { ip: '192.0.2.7', listed: ['two.test'], percent: 33.33 },
    { ip: '198.51.100.200', listed: ['one.test'], percent: 33.33 },
    { ip: '::ffff:192.0.2.7', listed: ['two.test'], percent: 33.33 },
    { ip: '2001:DB8:5::1234', listed: ['one.test'], percent: 33.33 },
    { ip: '2001:db8:0:0::1', listed: ['two.test', 'three.test'], percent: 66.67 },
    { ip: '192.0.2.100', listed: [], percent: 0 },
    { ip: '2001:db8:6::1', listed: [], percent: 0 },
  ])('finds $ip in $listed', async ({ ip, listed, percent }) => {
    const port = await startRbldnsd(zones)
    const { batch, out, end } = await runDnsbl({ domains, threshold: 1, servers: [`127.0.0.1:${port}`] })
    await batch(ip)
    await end()
    const record = { timestamp: 1, rule: 'filter_dnsbl', key: 'ip', value: ip, domains: listed, percent }
    expect(out.map(({ tag, timestamp, record }) => ({ tag, timestamp, record }))).toEqual([
      { tag: 'web', timestamp: 1, record: { ip } },
      ...(listed.length === 0 ? [] : [{ tag: 'alert', timestamp: 1, record }]),
    ])
  })

  it('asks each list at most 100 times for 10,000 events of 100 addresses, and keeps their order', async () => {
    const server = await NameServer.start(await startRbldnsd(zones))
    const run = await runDnsbl({ domains, threshold: 100, servers: [server.address], query_timeout: 20 })
    const addresses = Array.from({ length: 10_000 }, (_, i) => `192.0.2.${(i * 37) % 100}`)
    // Batches of any size, and several of them on their way at once.
    const sent: Promise<unknown>[] = []
    for (let at = 0, size = 1; at < addresses.length; at += size, size = (size * 7) % 1009) {
      sent.push(run.batch(...addresses.slice(at, at + size)))
    }
    await Promise.all(sent)
    await run.end()
    expect(domains.map((domain) => server.count(domain))).toEqual([100, 100, 100])
    expect(server.mostOpen).toBeLessThanOrEqual(32)
    const expected = addresses.flatMap((ip, index) =>
      ip === '192.0.2.99' ? [`web ${index + 1} ${ip}`, `alert ${index + 1} ${ip}`] : [`web ${index + 1} ${ip}`],
    )
    expect(run.out.map(({ tag, timestamp, record }) => `${tag} ${timestamp} ${record.ip ?? record.value}`)).toEqual(
      expected,
    )
  })

  it('goes by the lists that answer when one does not, which counts as one that does not list', async () => {
    const server = await NameServer.start(await startRbldnsd(zones))
    server.fate = (name) => (name.endsWith('.one.test') ? 'silent' : 'pass')
    const clock = new VirtualClock(1_700_000_000)
    const servers = [server.address]
    const run = await runDnsbl({ domains, threshold: 60, servers, query_timeout: 1, skip_time: 30 }, { clock })
    const [first, second] = await run.batch('192.0.2.99', '192.0.2.7', '2001:db8::1')
    expect(first?.record).toMatchObject({ value: '192.0.2.99', domains: ['two.test', 'three.test'], percent: 66.67 })
    expect(second?.record).toMatchObject({ value: '2001:db8::1', percent: 66.67 })
    // Nothing is kept of a list that said nothing; the others are not asked again.
    server.fate = () => 'pass'
    const [third] = await run.batch('192.0.2.99')
    expect(third?.record).toMatchObject({ domains, percent: 100 })
    expect(domains.map((domain) => server.count(domain))).toEqual([4, 3, 3])
    await run.end()
  })
})
