import { once } from 'node:events'
import { type IncomingHttpHeaders, request } from 'node:http'
import { connect, createServer, Server } from 'node:net'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { noCommitTimes } from '../../src/core/commit-times.ts'
import type { ActionStats, PipelineStats } from '../../src/core/metrics.ts'
import { type HttpOptions, type StatsSource, startHttp } from '../../src/http/server.ts'
import { recordingLog } from '../helpers/recording-log.ts'
import { makePipeline } from '../helpers/run-pipeline.ts'

function action(overrides: Partial<ActionStats> = {}): ActionStats {
  const none = { in: {}, bypass: {}, do: {}, out: {}, errors: {}, dropped: {}, dead_letters: {} }
  return { name: 'filter_a', label: 'a', kind: 'filter', retries: 0, counters: {}, ...none, ...overrides }
}

function stats(actions: ActionStats[], overrides: Partial<PipelineStats> = {}): PipelineStats {
  return { actions, events: 0, commits: 0, commit_times: noCommitTimes(), in_flight: 0, restarts: 0, ...overrides }
}

const well: StatsSource = { stats: async () => ({}), health: () => ({ ok: true, reasons: [] }) }

/** Starts the real server on a free port; it is closed when the test ends. */
async function serve(options: Partial<HttpOptions> = {}) {
  const server = await startHttp({ ip: '127.0.0.1', port: 0, source: well, ...options })
  onTestFinished(() => server.close())
  return { ...server, url: `http://127.0.0.1:${server.port}` }
}

/** A request whose headers fetch would not let through. */
async function ask(port: number, path: string, headers: Record<string, string>, method = 'GET') {
  const sent = request({ host: '127.0.0.1', port, path, headers, method, agent: false })
  sent.end()
  const [response] = (await once(sent, 'response')) as [
    AsyncIterable<Buffer> & { statusCode: number; headers: IncomingHttpHeaders },
  ]
  let text = ''
  for await (const chunk of response) text += String(chunk)
  return { status: response.statusCode, headers: response.headers, text }
}

describe('GET /', () => {
  test('has the counters of every action, by tag, as the original had them', async () => {
    const failing = action({
      name: 'output_archive',
      label: 'the archive',
      kind: 'output',
      in: { a: 3, b: 1 },
      do: { a: 3 },
      bypass: { b: 1 },
      out: { a: 3, b: 1 },
      errors: { a: 2 },
      dropped: { a: 1 },
      dead_letters: { a: 1 },
      retries: 4,
    })
    const { url } = await serve({ source: { ...well, stats: async () => ({ web: stats([failing]), db: stats([]) }) } })
    const before = Date.now() / 1000
    const response = await fetch(url)
    expect(response.status).toBe(200)
    expect(response.headers.get('content-type')).toBe('application/json')
    const { timestamp, pipelines } = (await response.json()) as { timestamp: number; pipelines: unknown }
    expect(timestamp).toBeGreaterThanOrEqual(before)
    expect(timestamp).toBeLessThanOrEqual(Date.now() / 1000)
    expect(pipelines).toEqual({
      web: [
        {
          name: 'output_archive',
          info: 'the archive',
          in: { a: 3, b: 1 },
          bypass: { b: 1 },
          do: { a: 3 },
          ignore: { a: 2 },
          out: { a: 3, b: 1 },
          kind: 'output',
          errors: { a: 2 },
          dropped: { a: 1 },
          dead_letters: { a: 1 },
          retries: 4,
        },
      ],
      db: [],
    })
  })

  test('names a pipeline and a tag __proto__ like any other', async () => {
    const tags = JSON.parse('{"__proto__":1}') as Record<string, number>
    const pipelines = Object.fromEntries([['__proto__', stats([action({ in: tags })])]])
    const { url } = await serve({ source: { ...well, stats: async () => pipelines } })
    expect(await (await fetch(url)).text()).toMatch(/"pipelines":\{"__proto__":\[\{.*"in":\{"__proto__":1\}/)
  })
})

/** `name{labels}` to value, of every line that is no comment. */
function samples(text: string): Map<string, number> {
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  return new Map(
    lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))]),
  )
}

describe('GET /metrics', () => {
  test('sums the counters of each action over its tags', async () => {
    const counted = action({
      label: 'my "own"\nlabel\\',
      in: { a: 3, '*': 4 },
      out: { a: 5 },
      bypass: { a: 1 },
      dropped: { a: 1 },
      errors: { a: 2, b: 3 },
      dead_letters: { b: 6 },
      retries: 7,
    })
    const pipelines = {
      web: stats([action(), counted], {
        commits: 8,
        commit_times: { counts: [3, 0, 4, 0, 0, 0, 0, 0, 0, 0, 1], sum: 12.5 },
        in_flight: 9,
      }),
      db: stats([], { up: false }),
    }
    const { url } = await serve({ source: { ...well, stats: async () => pipelines } })
    const response = await fetch(`${url}/metrics`)
    expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8')
    const text = await response.text()
    const found = samples(text)
    const labels = '{pipeline="web",action="my \\"own\\"\\nlabel\\\\",index="1",kind="filter"}'
    const values = { in: 7, out: 5, bypassed: 1, dropped: 1, errors: 5, dead_letters: 6 }
    for (const [name, value] of Object.entries(values)) {
      expect(found.get(`feedoo_events_${name}_total${labels}`), name).toBe(value)
      expect(text).toContain(`# TYPE feedoo_events_${name}_total counter\n`)
    }
    expect(found.get(`feedoo_output_retries_total${labels}`)).toBe(7)
    expect(found.get('feedoo_events_in_total{pipeline="web",action="a",index="0",kind="filter"}')).toBe(0)
    expect(found.get('feedoo_commits_total{pipeline="web"}')).toBe(8)
    const within = (bound: string) => found.get(`feedoo_commit_seconds_bucket{pipeline="web",le="${bound}"}`)
    expect(['0.005', '0.01', '0.025', '10', '+Inf'].map(within)).toEqual([3, 3, 7, 7, 8])
    expect(found.get('feedoo_commit_seconds_count{pipeline="web"}')).toBe(8)
    expect(found.get('feedoo_commit_seconds_sum{pipeline="web"}')).toBe(12.5)
    expect(found.get('feedoo_events_in_flight{pipeline="web"}')).toBe(9)
    expect([found.get('feedoo_pipeline_up{pipeline="web"}'), found.get('feedoo_pipeline_up{pipeline="db"}')]).toEqual([
      1, 0,
    ])
    expect(found.get('process_start_time_seconds')).toBeGreaterThan(0)
  })

  test('each metric is described once, and scrapes at the same time do not add up', async () => {
    const { url } = await serve({
      source: { ...well, stats: async () => ({ web: stats([action({ in: { a: 3 } })]) }) },
    })
    const pages = await Promise.all(Array.from({ length: 8 }, async () => (await fetch(`${url}/metrics`)).text()))
    for (const page of pages) {
      expect(samples(page).get('feedoo_events_in_total{pipeline="web",action="a",index="0",kind="filter"}')).toBe(3)
      const described = page.split('\n').filter((line) => line.startsWith('# TYPE'))
      expect(new Set(described).size).toBe(described.length)
    }
  })

  test('counters of a running pipeline only grow, also when it forgets tags', async () => {
    const { pipeline } = makePipeline([{ name: 'input_dummy', tag: 'x' }])
    const { url } = await serve({ source: { ...well, stats: async () => ({ web: pipeline.stats() }) } })
    let last = new Map<string, number>()
    let sent = 0
    for (let round = 0; round < 4; round++) {
      const batch = Array.from({ length: 600 }, () => ({ tag: `tag${sent++}`, timestamp: 0, record: {} }))
      await pipeline.inject(batch)
      const now = samples(await (await fetch(`${url}/metrics`)).text())
      for (const [name, value] of last) {
        if (name.startsWith('feedoo_') && name.includes('_total'))
          expect(now.get(name), name).toBeGreaterThanOrEqual(value)
      }
      last = now
    }
    expect(last.get('feedoo_events_in_total{pipeline="web",action="input_dummy",index="0",kind="input"}')).toBe(2400)
  })
})

describe('GET /health', () => {
  test('is 200 when all is well', async () => {
    const { url } = await serve()
    const response = await fetch(`${url}/health`)
    expect([response.status, await response.json()]).toEqual([200, { status: 'ok' }])
  })

  test('is 503 with the reasons when it is not', async () => {
    const reasons = ['pipeline web failed: the disk is gone']
    const { url } = await serve({ source: { ...well, health: async () => ({ ok: false, reasons }) } })
    const response = await fetch(`${url}/health`)
    expect([response.status, await response.json()]).toEqual([503, { status: 'failing', reasons }])
  })
})

describe('what is not served', () => {
  test.each(['POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH'])('%s is refused', async (method) => {
    const { url } = await serve()
    const response = await fetch(url, { method })
    expect([response.status, response.headers.get('allow')]).toEqual([405, 'GET, HEAD'])
    expect(response.headers.get('access-control-allow-origin')).toBeNull()
  })

  test('HEAD has the headers of GET and no body', async () => {
    const { url } = await serve()
    const response = await fetch(`${url}/metrics`, { method: 'HEAD' })
    expect([response.status, await response.text()]).toEqual([200, ''])
    expect(response.headers.get('content-type')).toContain('text/plain')
  })

  test('another path is 404', async () => {
    const { url } = await serve()
    expect((await fetch(`${url}/../etc/passwd`)).status).toBe(404)
  })

  test('a source that fails is a 500 that tells nothing', async () => {
    const { url } = await serve({ source: { ...well, stats: () => Promise.reject(new Error('secret')) } })
    for (const path of ['/', '/metrics']) {
      const response = await fetch(url + path)
      expect(response.status).toBe(500)
      expect(await response.text()).not.toContain('secret')
    }
  })
})

describe('with a token', () => {
  const token = 'corr\u00e9ct horse'

  test.each(['/', '/metrics', '/health', '/nowhere'])('%s is 401 without it', async (path) => {
    const { url } = await serve({ token })
    const response = await fetch(url + path)
    expect(response.status).toBe(401)
    expect(response.headers.get('www-authenticate')).toBe('Bearer realm="feedoo"')
  })

  const bytes = Buffer.from(token).toString('latin1')
  test.each<[string, number]>([
    [`Bearer ${bytes}`, 200],
    [`bearer  ${bytes}`, 200],
    [`Bearer ${bytes}x`, 401],
    [`Bearer ${bytes.slice(0, -1)}`, 401],
    ['Bearer ', 401],
    ['Bearer', 401],
    [bytes, 401],
    [`Basic ${bytes}`, 401],
    ['', 401],
  ])('Authorization %j is %i', async (authorization, status) => {
    const { port } = await serve({ token })
    expect((await ask(port, '/health', { authorization })).status).toBe(status)
  })

  test('any host name will do', async () => {
    const { port } = await serve({ token: 'abc' })
    const answer = await ask(port, '/health', { host: 'feedoo.example:4321', authorization: 'Bearer abc' })
    expect(answer.status).toBe(200)
  })

  test('other addresses than loopback are listened on', async () => {
    const { port } = await serve({ ip: '0.0.0.0', token: 'abc' })
    expect((await ask(port, '/health', { authorization: 'Bearer abc' })).status).toBe(200)
  })
})

describe('without a token', () => {
  test.each<[string, number]>([
    ['localhost', 200],
    ['LOCALHOST:80', 200],
    ['127.0.0.1:4321', 200],
    ['[::1]:4321', 200],
    ['evil.example', 403],
    ['evil.example:4321', 403],
    ['localhost.evil.example', 403],
    ['127.0.0.1.evil.example', 403],
    ['192.168.0.1', 403],
  ])('a request for host %s is %i', async (host, status) => {
    const { port } = await serve()
    for (const path of ['/', '/metrics', '/health']) expect((await ask(port, path, { host })).status).toBe(status)
  })

  test.each(['0.0.0.0', '::', '', '192.0.2.1', '::ffff:192.0.2.1', 'fe80::1%lo'])(
    'listening on %j is refused',
    async (ip) => {
      await expect(startHttp({ ip, port: 0, source: well })).rejects.toMatchObject({
        name: 'FeedooError',
        code: 'LISTEN_FAILED',
      })
    },
  )

  test.each(['localhost', '127.0.0.2'])('listening on %s is fine', async (ip) => {
    const { port } = await serve({ ip })
    const response = await fetch(`http://${ip}:${port}/health`)
    expect(response.status).toBe(200)
  })
})

describe('what cannot be listened on is LISTEN_FAILED with a sentence', () => {
  test('a port that is taken', async () => {
    const other = createServer().listen(0, '127.0.0.1')
    await once(other, 'listening')
    onTestFinished(() => void other.close())
    const address = other.address()
    const port = typeof address === 'object' ? address?.port : undefined
    await expect(startHttp({ ip: '127.0.0.1', port: port ?? 0, source: well })).rejects.toMatchObject({
      code: 'LISTEN_FAILED',
      message: `cannot listen on 127.0.0.1 port ${port}: another program has that port; stop it, or choose another port in \`states\``,
    })
  })

  test.each<[string, Partial<HttpOptions>, string]>([
    ['an address of another machine', { ip: '192.0.2.1', token: 'abc' }, 'this machine has no such address'],
    ['a name that is none', { ip: 'no such name' }, 'neither an address nor a name'],
    ['an empty token', { token: '' }, 'the token of `states` is empty'],
  ])('%s', async (_, options, sentence) => {
    await expect(startHttp({ ip: '127.0.0.1', port: 0, source: well, ...options })).rejects.toMatchObject({
      code: 'LISTEN_FAILED',
      message: expect.stringContaining(sentence),
    })
  })
})

describe('close', () => {
  test('does not wait for connections that are kept alive, nor for those that say nothing', async () => {
    const server = await startHttp({ ip: '127.0.0.1', port: 0, source: well })
    const url = `http://127.0.0.1:${server.port}/health`
    // fetch keeps its connection.
    await (await fetch(url, { headers: { connection: 'keep-alive' } })).text()
    const quiet = connect(server.port, '127.0.0.1')
    quiet.on('error', () => {})
    await once(quiet, 'connect')
    const half = connect(server.port, '127.0.0.1')
    half.on('error', () => {})
    half.write('GET /health HTTP/1.1\r\nHost: local')
    await once(half, 'connect')
    const ended = Promise.all([once(quiet.resume(), 'close'), once(half.resume(), 'close')])
    await server.close()
    await ended
    await expect(fetch(url)).rejects.toThrow()
  })

  test('lets an answer that is in hand get out', async () => {
    let asked = () => {}
    const inHand = new Promise<void>((done) => {
      asked = done
    })
    let answer = () => {}
    const gate = new Promise<void>((done) => {
      answer = done
    })
    const stats = async () => {
      asked()
      await gate
      return {}
    }
    const server = await startHttp({ ip: '127.0.0.1', port: 0, source: { ...well, stats } })
    const response = fetch(`http://127.0.0.1:${server.port}/`)
    await inHand
    const closed = server.close()
    answer()
    expect((await response).status).toBe(200)
    await closed
  })
})

test('headers without end are refused', async () => {
  const { port } = await serve()
  const answer = await ask(port, '/health', { 'x-long': 'x'.repeat(20_000) })
  expect(answer.status).toBe(431)
})

test('what goes wrong while it listens is logged each time, and it goes on', async () => {
  const listening = vi.spyOn(Server.prototype, 'listen')
  onTestFinished(() => listening.mockRestore())
  const { log, lines } = recordingLog()
  const { url } = await serve({ log })
  const server = listening.mock.contexts[0]
  if (!(server instanceof Server)) throw new Error('nothing listens')
  // As Node does when accept() fails.
  for (const n of [1, 2]) server.emit('error', new Error(`accept EMFILE ${n}`))
  expect(lines.map(({ level, msg }) => [level, msg])).toEqual([
    ['error', 'the HTTP server: accept EMFILE 1'],
    ['error', 'the HTTP server: accept EMFILE 2'],
  ])
  expect((await fetch(`${url}/health`)).status).toBe(200)
})
