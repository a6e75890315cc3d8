// What filter_dnsbl makes of each answer: against a UDP server of the test, over real sockets.
import { describe, expect, it } from 'vitest'
import { VirtualClock } from '../../../src/core/clock.ts'
import { runDnsbl } from '../../helpers/dnsbl.ts'
import { type Fate, NameServer } from '../../helpers/rbldnsd.ts'

const ip = '192.0.2.99'
const name = '99.2.0.192.bl.test'

describe('an answer of a list', () => {
  const yes = { listed: true, again: false, counters: {} }
  const no = { listed: false, again: false, counters: {} }
  const neither = { listed: false, again: true, counters: { unanswered: 1 } }
  it.each<{ what: string; fate: Fate; listed: boolean; again: boolean; counters: Record<string, number> }>([
    { what: '127.0.0.2', fate: { addresses: ['127.0.0.2'] }, ...yes },
    { what: 'the first address of 127.0.0.0/8', fate: { addresses: ['127.0.0.0'] }, ...yes },
    { what: 'the last one that is no refusal', fate: { addresses: ['127.255.254.255'] }, ...yes },
    { what: 'many addresses', fate: { addresses: Array.from({ length: 20 }, (_, i) => `127.0.0.${i + 2}`) }, ...yes },
    { what: 'one address of many', fate: { addresses: ['192.0.2.1', '127.0.0.4'] }, ...yes },
    { what: 'NXDOMAIN', fate: { code: 3 }, ...no },
    { what: 'a name without an address', fate: { addresses: [] }, ...no },
    {
      what: 'an address before 127.0.0.0/8',
      fate: { addresses: ['126.255.255.255'] },
      ...no,
      counters: { foreign_answers: 1 },
    },
    {
      what: 'an address behind 127.0.0.0/8',
      fate: { addresses: ['128.0.0.0'] },
      ...no,
      counters: { foreign_answers: 1 },
    },
    { what: 'SERVFAIL', fate: { code: 2 }, ...neither },
    { what: 'REFUSED', fate: { code: 5 }, ...neither },
    {
      what: 'a refusal by address',
      fate: { addresses: ['127.255.255.254'] },
      ...neither,
      counters: { unanswered: 1, refusals: 1 },
    },
    { what: 'silence', fate: 'silent', ...neither },
    { what: 'bytes that are no DNS', fate: 'garbage', ...neither },
  ])('$what: listed $listed, asked again $again', async ({ fate, listed, again, counters }) => {
    const server = await NameServer.start()
    server.fate = () => fate
    const params = { domains: ['bl.test'], servers: [server.address], query_timeout: again ? 1 : 20 }
    const run = await runDnsbl(params)
    expect((await run.batch(ip, ip)).length).toBe(listed ? 2 : 0)
    expect(server.asked).toEqual([name])
    expect(run.counters()).toEqual({ questions: 1, ...counters, ...(listed ? { alerts: 2 } : {}) })
    server.fate = () => ({ addresses: ['127.0.0.2'] })
    expect((await run.batch(ip)).length).toBe(listed || again ? 1 : 0)
    expect(server.asked.length).toBe(again ? 2 : 1)
    await run.end()
  })

  it('outside of 127.0.0.0/8 is logged once for each list', async () => {
    const server = await NameServer.start()
    server.fate = () => ({ addresses: ['203.0.113.80'] })
    const run = await runDnsbl({ domains: ['a.test', 'b.test'], servers: [server.address] })
    await run.batch('192.0.2.1', '192.0.2.2')
    await run.batch('192.0.2.3')
    expect(run.counters()).toEqual({ questions: 6, foreign_answers: 6 })
    expect(run.lines).toMatchObject([
      { level: 'warn', domain: 'a.test', answer: '203.0.113.80' },
      { level: 'warn', domain: 'b.test', answer: '203.0.113.80' },
    ])
    await run.end()
  })
})

describe('events that are not looked at', () => {
  it.each([
    {
      what: 'no address',
      values: ['', 'example.org', '192.0.2.1:80', 3232235777, null, ['192.0.2.1'], { a: 1 }],
      counted: 7,
    },
    {
      what: 'no public address',
      values: ['10.0.0.1', '127.0.0.2', '169.254.1.1', '::1', 'fe80::1', '::ffff:192.168.1.1'],
      counted: 0,
    },
    { what: 'nothing', values: [undefined], counted: 0 },
  ])('with $what in the field pass on, and nothing is asked', async ({ values, counted }) => {
    const server = await NameServer.start()
    server.fate = () => ({ addresses: ['127.0.0.2'] })
    const run = await runDnsbl({ domains: ['bl.test'], servers: [server.address] })
    expect(await run.batch(...values)).toEqual([])
    expect(run.out.map(({ record }) => record.ip)).toEqual(values)
    expect(server.asked).toEqual([])
    expect(run.counters()).toEqual(counted > 0 ? { no_address: counted } : {})
    expect(run.pipeline.stats().actions[0]?.errors).toEqual({})
    await run.end()
  })
})

describe('the threshold', () => {
  const listing =
    (listed: number) =>
    (question: string): Fate =>
      Number(/\.d(\d+)\.test$/.exec(question)?.[1]) < listed ? { addresses: ['127.0.0.2'] } : { code: 3 }
  it.each([
    { threshold: 0, lists: 3, fewest: 1 },
    { threshold: 33.33, lists: 3, fewest: 1 },
    { threshold: 33.34, lists: 3, fewest: 2 },
    { threshold: 50, lists: 4, fewest: 2 },
    { threshold: 51, lists: 4, fewest: 3 },
    { threshold: 100, lists: 17, fewest: 17 },
    { threshold: undefined, lists: 4, fewest: 2 },
  ])('$threshold of $lists lists is met by $fewest', async ({ threshold, lists, fewest }) => {
    const server = await NameServer.start()
    const domains = Array.from({ length: lists }, (_, i) => `d${i}.test`)
    const run = await runDnsbl({ domains, threshold, servers: [server.address] })
    server.fate = listing(fewest - 1)
    expect(await run.batch('192.0.2.1')).toEqual([])
    server.fate = listing(fewest)
    const [alert] = await run.batch('192.0.2.2')
    expect(alert?.record).toMatchObject({
      domains: domains.slice(0, fewest),
      percent: Number(((fewest / lists) * 100).toFixed(2)),
    })
    await run.end()
  })
})

describe('what the lists said', () => {
  it('is kept for `timeout` seconds of the wall clock', async () => {
    const server = await NameServer.start()
    server.fate = () => ({ addresses: ['127.0.0.2'] })
    const clock = new VirtualClock(1_700_000_000)
    const run = await runDnsbl({ domains: ['bl.test'], servers: [server.address], timeout: 60 }, { clock })
    expect((await run.batch(ip)).length).toBe(1)
    clock.advance(59.5)
    server.fate = () => ({ code: 3 })
    expect((await run.batch(ip)).length).toBe(1)
    expect(server.asked.length).toBe(1)
    clock.advance(0.5)
    expect((await run.batch(ip)).length).toBe(0)
    expect(server.asked.length).toBe(2)
    await run.end()
  })

  it('is kept of `cache_size` addresses', async () => {
    const server = await NameServer.start()
    server.fate = () => ({ addresses: ['127.0.0.2'] })
    const run = await runDnsbl({ domains: ['bl.test'], servers: [server.address], cache_size: 2 })
    // Also within one batch.
    expect((await run.batch('192.0.2.1', '192.0.2.2', '192.0.2.3', '192.0.2.1')).length).toBe(4)
    expect(server.asked.length).toBe(3)
    await run.batch('192.0.2.2', '192.0.2.3')
    expect(server.asked.length).toBe(3)
    await run.batch('192.0.2.1')
    expect(server.asked.length).toBe(4)
    expect(run.counters()).toMatchObject({ questions: 4, answers_forgotten: 2 })
    await run.end()
  })
})

it('`realert` keeps an address silent that `query_key` names, and others not', async () => {
  const server = await NameServer.start()
  server.fate = () => ({ addresses: ['127.0.0.2'] })
  const servers = [server.address]
  const run = await runDnsbl({ domains: ['bl.test'], servers, query_key: 'ip', realert: 3, attach: true })
  const alerts = await run.batch('192.0.2.1', '192.0.2.2', '192.0.2.1', '192.0.2.1')
  expect(alerts.map(({ record }) => [record.timestamp, record.query_key, record.suppressed])).toEqual([
    [1, '192.0.2.1', undefined],
    [2, '192.0.2.2', undefined],
    [4, '192.0.2.1', 1],
  ])
  expect(alerts[0]?.metadata).toMatchObject({ cause: { ip: '192.0.2.1' }, query_key: '192.0.2.1' })
  await run.end()
})

it('an event whose alert cannot be built goes to the dead letters, without the others of its batch', async () => {
  const server = await NameServer.start()
  server.fate = () => ({ addresses: ['127.0.0.2'] })
  const run = await runDnsbl({ domains: ['bl.test'], servers: [server.address], query_key: 'deep' })
  let deep: unknown = 1
  for (let i = 0; i < 1000; i++) deep = [deep]
  const records = [
    { ip, deep: 1 },
    { ip, deep },
    { ip, deep: 2 },
  ]
  await run.pipeline.inject(records.map((record, timestamp) => ({ tag: 'web', timestamp, record })))
  expect(run.out.map(({ tag, timestamp }) => `${tag} ${timestamp}`)).toEqual(['web 0', 'alert 0', 'web 2', 'alert 2'])
  expect(run.pipeline.stats().actions[0]?.dead_letters).toEqual({ web: 1 })
  await run.end()
})
