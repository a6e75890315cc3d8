// filter_dnsbl when lists or servers are away, when feedoo stops meanwhile, and after a restart.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { filterDnsbl } from '../../../src/actions/filter/filter_dnsbl.ts'
import { VirtualClock } from '../../../src/core/clock.ts'
import { openState } from '../../../src/core/state/file-state.ts'
import { runDnsbl } from '../../helpers/dnsbl.ts'
import { NameServer } from '../../helpers/rbldnsd.ts'
import { recordingLog } from '../../helpers/recording-log.ts'
import { actionConfig } from '../../helpers/run-pipeline.ts'

const listed = { addresses: ['127.0.0.2'] }

describe('a list that does not answer', () => {
  it('is left alone after `skip_after` questions in a row, and is back when it answers', async () => {
    const server = await NameServer.start()
    server.fate = (name) => (name.endsWith('.dead.test') ? 'silent' : listed)
    const clock = new VirtualClock(1_700_000_000)
    const domains = ['dead.test', 'live.test']
    const params = {
      domains,
      servers: [server.address],
      query_timeout: 1,
      skip_after: 3,
      skip_time: 30,
      concurrency: 8,
    }
    const run = await runDnsbl(params, { clock })
    const addresses = Array.from({ length: 100 }, (_, i) => `192.0.2.${i}`)

    // Those on their way together with the third one are asked, and no more.
    expect((await run.batch(...addresses)).length).toBe(100)
    expect(server.count('live.test')).toBe(100)
    const asked = server.count('dead.test')
    expect(asked).toBeGreaterThanOrEqual(3)
    expect(asked).toBeLessThan(3 + 8)
    expect(run.counters()).toMatchObject({ lists_down: 1, unanswered: asked, skipped: 100 - asked })
    expect(run.lines).toMatchObject([{ level: 'warn', domain: 'dead.test', reason: 'no answer within 1 s' }])

    // Nothing waits for it now.
    await run.batch(...addresses)
    expect(server.count('dead.test')).toBe(asked)

    // One question looks whether it is back, and no event waits for that.
    clock.advance(30)
    let seen = () => {}
    const probed = new Promise<void>((resolve) => {
      seen = resolve
    })
    let answer = () => {}
    const answered = new Promise<void>((resolve) => {
      answer = resolve
    })
    server.fate = async (name) => {
      if (!name.endsWith('.dead.test')) return listed
      seen()
      await answered
      return listed
    }
    const alerts = await run.batch(...addresses)
    expect(alerts.map(({ record }) => record.percent)).toEqual(addresses.map(() => 50))
    await probed
    expect(server.count('dead.test')).toBe(asked + 1)
    answer()
    while (run.lines.length < 2) await new Promise((resolve) => setImmediate(resolve))
    expect(run.lines[1]).toMatchObject({ level: 'info', domain: 'dead.test' })

    expect((await run.batch(...addresses)).map(({ record }) => record.percent)).toEqual(addresses.map(() => 100))
    // The answer to the probe was kept.
    expect(server.count('dead.test')).toBe(asked + 100)
    expect(server.count('live.test')).toBe(100)
    await run.end()
  })

  it('is not left alone when it answers now and then', async () => {
    const server = await NameServer.start()
    const run = await runDnsbl({ domains: ['bl.test'], servers: [server.address], skip_after: 2 })
    for (let i = 0; i < 6; i++) {
      server.fate = () => (i % 2 === 0 ? { code: 2 } : { code: 3 })
      await run.batch(`192.0.2.${i}`)
    }
    expect(run.counters()).toEqual({ questions: 6, unanswered: 3 })
    await run.end()
  })

  it('does not hold up another pipeline', async () => {
    const server = await NameServer.start()
    let answer = () => {}
    const answered = new Promise<void>((resolve) => {
      answer = resolve
    })
    server.fate = async () => {
      await answered
      return listed
    }
    const params = { domains: ['bl.test'], servers: [server.address], query_timeout: 20 }
    const slow = await runDnsbl(params)
    const beside = await runDnsbl(params)
    const waiting = slow.batch('192.0.2.1')
    // These need no list: they come through while the first one waits.
    await beside.batch('10.0.0.1')
    await beside.batch('10.0.0.2')
    expect(beside.out.length).toBe(2)
    expect(slow.out.length).toBe(0)
    answer()
    expect((await waiting).length).toBe(1)
    await slow.end()
    await beside.end()
  })
})

it('the events behind one that waits keep their place, also those that are not looked at', async () => {
  const server = await NameServer.start()
  let answer = () => {}
  const answered = new Promise<void>((resolve) => {
    answer = resolve
  })
  server.fate = async () => {
    await answered
    return listed
  }
  const run = await runDnsbl({ domains: ['bl.test'], servers: [server.address], query_timeout: 20 })
  const waiting = run.batch('192.0.2.1')
  const other = run.pipeline.inject([{ tag: 'other', timestamp: 9, record: {} }])
  const behind = run.batch('10.0.0.1')
  expect(run.out).toEqual([])
  answer()
  await Promise.all([waiting, other, behind])
  expect(run.out.map(({ tag }) => tag)).toEqual(['web', 'alert', 'other', 'web'])
  await run.end()
})

it('at most `concurrency` questions are open at once', async () => {
  const server = await NameServer.start()
  let answer = () => {}
  const answered = new Promise<void>((resolve) => {
    answer = resolve
  })
  let arrived = () => {}
  const all = new Promise<void>((resolve) => {
    arrived = resolve
  })
  server.fate = async () => {
    if (server.asked.length === 5) arrived()
    await answered
    return listed
  }
  const params = { domains: ['a.test', 'b.test'], servers: [server.address], concurrency: 5, query_timeout: 20 }
  const run = await runDnsbl(params)
  const batch = run.batch(...Array.from({ length: 20 }, (_, i) => `192.0.2.${i}`))
  await all
  answer()
  expect((await batch).length).toBe(20)
  expect(server.mostOpen).toBe(5)
  expect(server.asked.length).toBe(40)
  await run.end()
})

describe('name servers', () => {
  it('are asked one after the other until one answers, which is asked first from then on', async () => {
    const silent = await NameServer.start()
    silent.fate = () => 'silent'
    const live = await NameServer.start()
    live.fate = () => listed
    const servers = [silent.address, live.address]
    const run = await runDnsbl({ domains: ['bl.test'], servers, query_timeout: 2, concurrency: 1 })
    expect((await run.batch('192.0.2.1', '192.0.2.2', '192.0.2.3')).length).toBe(3)
    expect([silent.asked.length, live.asked.length]).toEqual([1, 3])
    await run.end()
  })

  it('that are not there at all leave the stream as it is', async () => {
    // Port 9 of a loopback address on which nothing listens.
    const run = await runDnsbl({ domains: ['bl.test'], servers: ['127.0.0.9:9'], query_timeout: 0.5 })
    expect(await run.batch(...Array.from({ length: 100 }, (_, i) => `192.0.2.${i}`))).toEqual([])
    expect(run.out.length).toBe(100)
    await run.end()
  })
})

it('a stop does not wait for lists longer than it may, and ends the questions', async () => {
  const server = await NameServer.start()
  let arrived = () => {}
  const asked = new Promise<void>((resolve) => {
    arrived = resolve
  })
  server.fate = () => {
    arrived()
    return 'silent'
  }
  const run = await runDnsbl({ domains: ['bl.test'], servers: [server.address], query_timeout: 60 })
  const waiting = run.batch('192.0.2.1')
  await asked
  const giveUp = new AbortController()
  const running = run.pipeline.run(AbortSignal.abort(), giveUp.signal)
  giveUp.abort()
  await expect(running).rejects.toMatchObject({ code: 'SHUTDOWN_TIMEOUT' })
  void waiting.catch(() => {})
  // The question has come back, not after its 60 seconds: the event has passed the filter.
  while (run.out.length === 0) await new Promise((resolve) => setImmediate(resolve))
  expect(run.counters()).toMatchObject({ questions: 1, unanswered: 1 })
})

it('a stop with time left waits for the answer', async () => {
  const server = await NameServer.start()
  let answer = () => {}
  const answered = new Promise<void>((resolve) => {
    answer = resolve
  })
  server.fate = async () => {
    await answered
    return listed
  }
  const run = await runDnsbl({ domains: ['bl.test'], servers: [server.address], query_timeout: 60 })
  const waiting = run.batch('192.0.2.1')
  const ended = run.end()
  answer()
  await ended
  expect((await waiting).length).toBe(1)
})

it('what the lists said, and who is silent, outlives a restart; the domains may have changed', async () => {
  const server = await NameServer.start()
  server.fate = (name) => (name.endsWith('.none.test') ? { code: 3 } : listed)
  const folder = await mkdtemp(join(tmpdir(), 'feedoo-dnsbl-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const clock = new VirtualClock(1_700_000_000)
  const { log } = recordingLog()

  const start = async (domains: string[]) => {
    const shared = { threshold: 1, timeout: 100, query_key: 'ip', realert: 1000, db_path: join(folder, 'dnsbl.db') }
    const params = { domains, servers: [server.address], ...shared }
    const action = actionConfig({ name: 'filter_dnsbl', match: 'web', tag: 'alert', key: 'ip', ...params })
    const options = { folder: undefined, fsync: 'never', instance: 'test', owner: undefined } as const
    const state = await openState({ name: 'test', actions: [action] }, options, log, clock)
    return runDnsbl(params, state === undefined ? { clock } : { clock, state })
  }

  const first = await start(['bl.test', 'none.test'])
  expect((await first.batch('192.0.2.1', '192.0.2.2')).map(({ record }) => record.percent)).toEqual([50, 50])
  await first.end()
  expect(server.asked.length).toBe(4)

  // Nothing is asked again but the list that is new; both addresses are silent still.
  const second = await start(['new.test', 'bl.test'])
  expect((await second.batch('192.0.2.1', '192.0.2.2', '192.0.2.3')).map(({ record }) => record.value)).toEqual([
    '192.0.2.3',
  ])
  await second.end()
  expect(['bl.test', 'none.test', 'new.test'].map((domain) => server.count(domain))).toEqual([3, 2, 3])

  clock.advance(100)
  const third = await start(['bl.test'])
  await third.batch('192.0.2.1')
  await third.end()
  expect(server.count('bl.test')).toBe(4)
})

describe('parameters', () => {
  const { params, lint } = filterDnsbl
  const base = { tag: 'alert', key: 'ip', domains: ['bl.test'] }
  it.each([
    { what: 'both thresholds, different', change: { threshold: 50, threshold_percent: 60 }, path: 'threshold' },
    { what: 'a threshold over 100', change: { threshold: 101 }, path: 'threshold' },
    { what: 'no lists', change: { domains: [] }, path: 'domains' },
    { what: 'a list that is no domain', change: { domains: ['bl.test', 'a b'] }, path: 'domains.1' },
    { what: 'a list with an empty label', change: { domains: ['bl..test'] }, path: 'domains.0' },
    {
      what: 'a list too long for an IPv6 address',
      change: { domains: [`${'a23456789.'.repeat(19)}test`] },
      path: 'domains.0',
    },
    { what: 'a server by name', change: { servers: ['localhost'] }, path: 'servers.0' },
    { what: 'a server with port 0', change: { servers: ['127.0.0.1:0'] }, path: 'servers.0' },
    { what: 'a server with port 65536', change: { servers: ['127.0.0.1:65536'] }, path: 'servers.0' },
    { what: 'a server in half a bracket', change: { servers: ['[::1:53'] }, path: 'servers.0' },
  ])('$what are refused', ({ change, path }) => {
    const result = params.safeParse({ ...base, ...change })
    expect(result.error?.issues.map((issue) => issue.path.join('.'))).toEqual([path])
  })

  it.each([
    { threshold: 50, threshold_percent: 50 },
    { servers: ['127.0.0.1', '127.0.0.1:5353', '::1', '[::1]:5353', '[::1]:53'] },
    { domains: ['zen.example.org.', 'under_score.test', 'bl'] },
  ])('%j are taken', (change) => {
    expect(params.safeParse({ ...base, ...change }).success).toBe(true)
  })

  it('a list that is named twice is warned about', () => {
    expect(lint({ ...base, domains: ['bl.test', 'a.test', 'BL.test.'] })).toMatchObject([{ path: ['domains', 2] }])
  })
})
