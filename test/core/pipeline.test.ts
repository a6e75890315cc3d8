import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import type { BatchFilter, EventFilter, Input, Output } from '../../src/core/action.ts'
import { FeedooError } from '../../src/core/errors.ts'
import { cloneEvent, type Event } from '../../src/core/event.ts'
import { sum } from '../../src/core/metrics.ts'
import { filter, input, output } from '../helpers/actions.ts'
import { deadLettersOf } from '../helpers/dead-letters.ts'
import { recordingLog } from '../helpers/recording-log.ts'
import { type ActionMap, makePipeline } from '../helpers/run-pipeline.ts'

const never = () => new AbortController().signal
const turn = () => new Promise((resolve) => setImmediate(resolve))
const event = (tag: string, n = 0): Event => ({ tag, timestamp: n, record: { n } })
const events = (tag: string, count: number) => Array.from({ length: count }, (_, n) => event(tag, n))
/** `tag n` of each event, as it is when it passes. */
const names = (list: readonly Event[]) => list.map(({ tag, record }) => `${tag} ${record.n}`)

/** A filter from its apply alone. */
const apply = (name: string, made: EventFilter['apply']) => filter(name, () => ({ apply: made }))

/** An output that keeps what is written to it, as it was when it was written. */
function keeper(overrides: Partial<Output> = {}) {
  const written: Event[] = []
  const made: Output = {
    async write(batch) {
      written.push(...batch.map(cloneEvent))
    },
    ...overrides,
  }
  return { spec: output('keep', made), written }
}

const keep: ActionMap = { name: 'output_keep', retry_delay: 0.001, retry_max_delay: 0.002 }
const mark = apply('mark', (it, emit) => {
  it.record.marked = true
  emit(it)
})
const alert = apply('alert', (it, emit) => {
  emit(it)
  emit(event('alert', Number(it.record.n)))
})
const picky = apply('picky', (it, emit) => {
  if (it.record.n === 1) throw new Error('no ones')
  emit(it)
})

describe('routing', () => {
  test('order is kept', async () => {
    const { pipeline, out } = makePipeline([{ name: 'filter_mark', match: 'a' }], { extra: [mark] })
    const sent = events('a', 1000).map((it, n) => ({ ...it, tag: n % 3 === 0 ? 'b' : 'a' }))
    await Promise.all([pipeline.inject(sent.slice(0, 400)), pipeline.inject(sent.slice(400))])
    expect(names(out)).toEqual(names(sent))
  })

  test('an event that an action does not match passes untouched, as the same object', async () => {
    const { pipeline, out } = makePipeline([{ name: 'filter_mark', match: ['a', 'c*'] }], { extra: [mark] })
    const sent = ['a', 'b', 'cc'].map((tag) => event(tag))
    await pipeline.inject(sent)
    expect(out.map((it) => it.record.marked)).toEqual([true, undefined, true])
    expect(out[1]).toBe(sent[1])
  })

  test('an alert follows the event that caused it, and reaches only the actions behind', async () => {
    const before = keeper()
    const list = [
      { name: 'output_before' },
      { name: 'filter_mark', match: '*' },
      { name: 'filter_alert', match: 'a' },
      { name: 'filter_after', match: 'alert' },
    ]
    const after = apply('after', (it, emit) => {
      it.record.after = true
      emit(it)
    })
    const extra = [{ ...before.spec, name: 'output_before' }, mark, alert, after]
    const { pipeline, out } = makePipeline(list, { extra })
    await pipeline.inject([event('a', 1), event('b', 2), event('a', 3)])
    expect(names(out)).toEqual(['a 1', 'alert 1', 'b 2', 'a 3', 'alert 3'])
    expect(out[1]?.record).toEqual({ n: 1, after: true })
    expect(names(before.written)).toEqual(['a 1', 'b 2', 'a 3'])
  })

  test('an input in the middle sends to what stands behind it only', async () => {
    const middle: Input = { run: ({ emit }) => emit(events('middle', 2)) }
    const top: Input = { run: ({ emit }) => emit(events('top', 2)) }
    const list = ['input_top', 'filter_mark', 'input_middle', 'filter_after'].map((name) => ({ name }))
    const after = apply('after', (it, emit) => {
      it.record.after = true
      emit(it)
    })
    const { pipeline, out } = makePipeline(list, { extra: [input('top', top), input('middle', middle), mark, after] })
    await pipeline.run(never())
    const seen = (tag: string) => out.filter((it) => it.tag === tag).map(({ record }) => record)
    expect(seen('top')).toEqual([0, 1].map((n) => ({ n, marked: true, after: true })))
    expect(seen('middle')).toEqual([0, 1].map((n) => ({ n, after: true })))
    const stats = pipeline.stats().actions
    expect(stats.map((action) => [sum(action.in), sum(action.out)])).toEqual([
      [0, 2],
      [2, 2],
      [2, 4],
      [4, 4],
    ])
  })

  test('an output writes events as they were when they passed it', async () => {
    const { spec, written } = keeper()
    const { pipeline, out } = makePipeline([keep, { name: 'filter_mark' }], { extra: [spec, mark] })
    await pipeline.inject([{ ...event('a', 1), metadata: { id: 7 } }])
    expect(written).toEqual([{ ...event('a', 1), metadata: { id: 7 } }])
    expect(out[0]?.record.marked).toBe(true)
  })

  test('the counters tell where each event went', async () => {
    const { pipeline } = makePipeline([{ name: 'filter_alert', match: 'a' }, { name: 'filter_picky' }], {
      extra: [alert, picky],
    })
    await pipeline.inject([event('a', 0), event('a', 1), event('b', 1)])
    const [first, second] = pipeline.stats().actions
    expect(first).toMatchObject({ in: { a: 2, b: 1 }, do: { a: 2 }, bypass: { b: 1 }, out: { a: 2, alert: 2, b: 1 } })
    expect(second).toMatchObject({ in: { a: 2, alert: 2, b: 1 }, out: { a: 1, alert: 1 } })
    expect(second).toMatchObject({ errors: { a: 1, alert: 1, b: 1 }, dead_letters: { a: 1, alert: 1, b: 1 } })
    expect(pipeline.stats()).toMatchObject({ events: 3, in_flight: 0 })
  })
})

describe('an action that throws', () => {
  test('stops for that event only: it is in the dead letters, the others pass in order', async () => {
    const { letters, options } = await deadLettersOf()
    const { pipeline, out } = makePipeline([{ name: 'filter_picky', label: 'no ones' }], { ...options, extra: [picky] })
    await pipeline.inject(events('a', 4))
    expect(names(out)).toEqual(['a 0', 'a 2', 'a 3'])
    expect(await letters()).toMatchObject([
      {
        pipeline: 'test',
        action: 'no ones',
        code: 'ACTION_FAILED',
        reason: 'no ones',
        tag: 'a',
        timestamp: 1,
        record: { n: 1 },
      },
    ])
  })

  test('does not keep an action before it from what it does after its emit', async () => {
    const { letters, options } = await deadLettersOf()
    const list = [{ name: 'filter_alert', match: 'a' }, { name: 'filter_mark' }, { name: 'filter_picky', match: 'a' }]
    const { pipeline, out } = makePipeline(list, { ...options, extra: [alert, mark, picky] })
    await pipeline.inject(events('a', 3))
    expect(names(out)).toEqual(['a 0', 'alert 0', 'alert 1', 'a 2', 'alert 2'])
    expect(await letters()).toMatchObject([{ action: 'filter_picky', tag: 'a', record: { n: 1 } }])
  })

  test('after an emit that went deep is blamed itself, with its own event', async () => {
    const { letters, options } = await deadLettersOf()
    const late = apply('late', (it, emit) => {
      emit(event('made', 7))
      emit(event('made', 1))
      throw new Error(`late ${it.tag}`)
    })
    const list = ['filter_late', 'filter_mark', 'filter_picky'].map((name) => ({ name }))
    const { pipeline, out } = makePipeline(list, { ...options, extra: [late, mark, picky] })
    await pipeline.inject([event('a', 5)])
    expect(names(out)).toEqual(['made 7'])
    expect(await letters()).toMatchObject([
      { action: 'filter_picky', tag: 'made', reason: 'no ones' },
      { action: 'filter_late', tag: 'a', reason: 'late a', record: { n: 5 } },
    ])
  })

  test('something that is no error, or a stack overflow, is treated alike', async () => {
    const { letters, options } = await deadLettersOf()
    const odd = apply('odd', (it) => {
      const dig = (): number => 1 + dig()
      if (it.record.n === 0) dig()
      throw it.record.n === 1 ? undefined : 'text'
    })
    const { pipeline } = makePipeline([{ name: 'filter_odd' }], { ...options, extra: [odd] })
    await pipeline.inject(events('a', 3))
    expect((await letters()).map(({ reason }) => reason)).toEqual([
      'Maximum call stack size exceeded',
      'undefined',
      'text',
    ])
  })
})

describe('an asynchronous filter', () => {
  const slow = (name: string, turns: number) =>
    filter(name, () => ({
      async applyBatch(batch) {
        for (let i = 0; i < turns; i++) await turn()
        return batch.map((it) => {
          it.record.via = [...((it.record.via as string[] | undefined) ?? []), name]
          return it.record.n === 3 ? [] : it.record.n === 4 ? [it, event('extra', 4)] : [it]
        })
      },
    }))

  test('keeps the order of what it takes and what passes by, over batches and beside synchronous ones', async () => {
    const list = [
      { name: 'filter_one', match: 'a' },
      { name: 'filter_mark' },
      { name: 'filter_two', match: ['b', 'a'] },
    ]
    const { pipeline, out } = makePipeline(list, { extra: [slow('one', 3), mark, slow('two', 1)] })
    const sent = [0, 1, 2, 3, 4, 5].map((n) => event(n % 2 === 0 ? 'a' : 'b', n))
    await Promise.all([pipeline.inject(sent.slice(0, 5)), pipeline.inject(sent.slice(5))])
    expect(names(out)).toEqual(['a 0', 'b 1', 'a 2', 'a 4', 'extra 4', 'extra 4', 'b 5'])
    expect(out.map((it) => it.record.via)).toEqual([
      ['one', 'two'],
      ['two'],
      ['one', 'two'],
      ['one', 'two'],
      undefined,
      undefined,
      ['two'],
    ])
  })

  test.each<[string, BatchFilter['applyBatch'], string]>([
    ['rejects', () => Promise.reject(new Error('no name server')), 'no name server'],
    [
      'hands back too few results',
      async () => [],
      'applyBatch must return one list of events for each of its 2 events',
    ],
  ])('that %s dead-letters only what it took', async (_, applyBatch, reason) => {
    const { letters, options } = await deadLettersOf()
    const { pipeline, out } = makePipeline([{ name: 'filter_dns', match: 'a' }], {
      ...options,
      extra: [filter('dns', () => ({ applyBatch }))],
    })
    await pipeline.inject([event('b', 0), event('a', 1), event('b', 2), event('a', 3)])
    expect(names(out)).toEqual(['b 0', 'b 2'])
    expect((await letters()).map((it) => `${it.tag} ${it.reason}`)).toEqual([`a ${reason}`, `a ${reason}`])
    expect(pipeline.stats().actions[0]).toMatchObject({ in: { a: 2, b: 2 }, do: { a: 2 }, bypass: { b: 2 } })
  })

  test('is not called when nothing is for it', async () => {
    let called = 0
    const applyBatch = async (batch: readonly Event[]) => {
      called++
      return batch.map((it) => [it])
    }
    const { pipeline, out } = makePipeline([{ name: 'filter_dns', match: 'a' }], {
      extra: [filter('dns', () => ({ applyBatch }))],
    })
    await pipeline.inject([event('b')])
    expect([called, out.length]).toEqual([0, 1])
  })
})

describe('emit', () => {
  test('comes back when every output has written and synced, and the position is saved', async () => {
    const log: string[] = []
    const slow = (name: string): Output => ({
      async write() {
        await turn()
        log.push(`${name} written`)
      },
      async sync() {
        await turn()
        log.push(`${name} synced`)
      },
    })
    const source: Input = {
      async run({ emit }) {
        await emit(events('a', 2), { file: 2 }, true)
        log.push('safe')
      },
    }
    const list = ['input_source', 'output_one', 'output_two'].map((name) => ({ name }))
    const { pipeline } = makePipeline(list, {
      extra: [input('source', source), output('one', slow('one')), output('two', slow('two'))],
      savePositions: (place, positions) => log.push(`saved ${place} ${JSON.stringify([...positions])}`),
    })
    await pipeline.run(never())
    expect(log.slice(0, 4).sort()).toEqual(['one synced', 'one written', 'two synced', 'two written'])
    expect(log.indexOf('one written')).toBeLessThan(log.indexOf('one synced'))
    expect(log.slice(4)).toEqual(['saved input_source/input_source/1 [["file",2]]', 'safe'])
  })

  test('an input that is answered does not wait for the timer', async () => {
    let answers = 0
    const urgent: Input = {
      async run({ emit }) {
        // By the timer, ten answers one after another would take a second.
        for (let i = 0; i < 10; i++) {
          await emit(events('a', 1), undefined, true)
          answers++
        }
      },
    }
    const { pipeline } = makePipeline([{ name: 'input_urgent' }], { extra: [input('urgent', urgent)] })
    const run = pipeline.run(never())
    for (let turns = 0; turns < 100 && answers < 10; turns++) await turn()
    expect(answers).toBe(10)
    await run
  })

  test('positions of the last commit come back to the input', async () => {
    const seen: unknown[] = []
    const source: Input = {
      async run({ positions }) {
        seen.push(...positions)
      },
    }
    const { pipeline } = makePipeline([{ name: 'input_source' }], {
      extra: [input('source', source)],
      positions: new Map([['input_source/input_source/1', new Map([['file', 7]])]]),
    })
    await pipeline.run(never())
    expect(seen).toEqual([['file', 7]])
  })
})

describe('an output whose target is away', () => {
  const away = () => new FeedooError('OUTPUT_UNAVAILABLE', 'nobody there', { retriable: true })

  test('is tried again until it works: no loss, no doubling, order kept, one line when it goes and one when it is back', async () => {
    let failures = 5
    const { spec, written } = keeper()
    const flaky = output('keep', {
      async write(batch) {
        if (failures-- > 0) throw away()
        written.push(...batch)
      },
    })
    expect(spec.name).toBe(flaky.name)
    const { lines, log } = recordingLog()
    const { pipeline } = makePipeline([{ ...keep, buffer_size: 10 }], { extra: [flaky], log })
    await Promise.all([pipeline.inject(events('a', 95)), pipeline.inject(events('b', 5))])
    expect(names(written)).toEqual(names([...events('a', 95), ...events('b', 5)]))
    const told = lines.filter(({ level }) => level !== 'debug')
    expect(told.map(({ level, msg }) => `${level} ${msg}`)).toEqual([
      'warn nobody there; trying again until it works',
      'info the output takes events again',
    ])
    expect(pipeline.stats().actions[0]?.retries).toBe(5)
    expect(pipeline.failingOutputs()).toEqual([])
  })

  test('is named while it fails', async () => {
    let open = () => {}
    const gate = new Promise<void>((resolve) => {
      open = resolve
    })
    let tries = 0
    const shy = output('keep', {
      async write() {
        if (tries++ === 0) throw away()
        await gate
      },
    })
    const { pipeline } = makePipeline([{ ...keep, label: 'the store' }], { extra: [shy] })
    const safe = pipeline.inject(events('a', 1))
    while (tries < 2) await turn()
    expect(pipeline.failingOutputs()).toEqual(['the store'])
    open()
    await safe
    expect(pipeline.failingOutputs()).toEqual([])
  })

  test('a sync that fails for a while is tried again before the input is answered', async () => {
    let failures = 3
    const spec = output('keep', {
      write: async () => {},
      async sync() {
        if (failures-- > 0) throw away()
      },
    })
    const { pipeline } = makePipeline([keep], { extra: [spec] })
    await pipeline.inject(events('a', 1))
    expect(failures).toBe(-1)
  })

  test('calls of an output never overlap, syncs included', async () => {
    let open = 0
    let most = 0
    const call = async () => {
      most = Math.max(most, ++open)
      await turn()
      open--
    }
    const spec = output('keep', { write: call, sync: call })
    const { pipeline } = makePipeline([{ ...keep, buffer_size: 1 }], { extra: [spec] })
    const sent: Promise<void>[] = []
    for (let i = 0; i < 20; i++) {
      sent.push(pipeline.inject(events('a', 3)))
      await turn()
    }
    await Promise.all(sent)
    expect(most).toBe(1)
  })

  test('what the target refuses for good is in the dead letters with code and reason', async () => {
    const { letters, options } = await deadLettersOf()
    const spec = output('keep', {
      async write(batch) {
        if (batch[0]?.tag === 'bad') throw new FeedooError('OUTPUT_REJECTED', 'no such table')
        if (batch[0]?.tag === 'odd') throw new TypeError('a mistake')
      },
    })
    const { pipeline, out } = makePipeline([{ ...keep, buffer_size: 2 }], { ...options, extra: [spec] })
    await pipeline.inject([...events('bad', 2), ...events('good', 2), ...events('odd', 2)])
    expect((await letters()).map(({ tag, code, reason }) => `${tag} ${code} ${reason}`)).toEqual([
      'bad OUTPUT_REJECTED no such table',
      'bad OUTPUT_REJECTED no such table',
      'odd OUTPUT_REJECTED a mistake',
      'odd OUTPUT_REJECTED a mistake',
    ])
    expect(pipeline.stats().actions[0]).toMatchObject({ errors: { bad: 2, odd: 2 }, dead_letters: { bad: 2, odd: 2 } })
    // What one output refuses goes on to the actions behind it.
    expect(out).toHaveLength(6)
  })
})

describe('the end of a run', () => {
  test('an input that throws makes run reject, after everything is drained and closed', async () => {
    const { spec, written } = keeper()
    const log: string[] = []
    const failing: Input = {
      async run({ emit }) {
        void emit(events('a', 3))
        throw new Error('the disk is gone')
      },
      async close() {
        log.push(`closed with ${written.length} written`)
      },
    }
    const other: Input = {
      async run({ emit, signal }) {
        if (!signal.aborted) await once(signal, 'abort')
        await emit(events('b', 1))
        log.push('the other was told and has ended')
      },
    }
    const { pipeline } = makePipeline([{ name: 'input_failing' }, { name: 'input_other' }, keep], {
      extra: [input('failing', failing), input('other', other), spec],
    })
    await expect(pipeline.run(never())).rejects.toThrow('the disk is gone')
    expect(names(written)).toEqual(['a 0', 'a 1', 'a 2', 'b 0'])
    expect(log).toEqual(['the other was told and has ended', 'closed with 4 written'])
  })

  test.each<[string, Partial<Output>]>([
    ['is away', { write: () => Promise.reject(new FeedooError('OUTPUT_UNAVAILABLE', 'away', { retriable: true })) }],
    ['hangs', { write: () => new Promise(() => {}) }],
  ])('giving up while an output %s is SHUTDOWN_TIMEOUT with the number of events', async (_, broken) => {
    const { spec } = keeper(broken)
    let closed = false
    const stop = new AbortController()
    const giveUp = new AbortController()
    const source: Input = {
      async run({ emit }) {
        const safe = emit(events('a', 3))
        stop.abort()
        giveUp.abort()
        // As an input does that drains: it waits for what can never be safe.
        await safe
      },
      async close() {
        closed = true
      },
    }
    const { pipeline } = makePipeline([{ name: 'input_source' }, keep], { extra: [input('source', source), spec] })
    await expect(pipeline.run(stop.signal, giveUp.signal)).rejects.toMatchObject({
      code: 'SHUTDOWN_TIMEOUT',
      message: '3 events could not be written in time',
    })
    expect(closed).toBe(true)
  })

  test('giving up while an asynchronous filter hangs counts what waits there', async () => {
    const stuck = filter('stuck', () => ({ applyBatch: () => new Promise(() => {}) }))
    const { pipeline } = makePipeline([{ name: 'filter_stuck' }], { extra: [stuck] })
    void pipeline.inject(events('a', 5))
    expect(pipeline.stats().in_flight).toBe(5)
    const giveUp = new AbortController()
    const run = pipeline.run(never(), giveUp.signal)
    giveUp.abort()
    await expect(run).rejects.toMatchObject({ message: '5 events could not be written in time' })
  })

  test.each<[string, Partial<Output>, (() => void) | undefined]>([
    [
      'an output cannot make safe what it took',
      { sync: () => Promise.reject(new Error('input/output error')) },
      undefined,
    ],
    [
      'positions cannot be saved',
      {},
      () => {
        throw new Error('input/output error')
      },
    ],
  ])('when %s the run fails, and the input is not answered', async (_, broken, savePositions) => {
    const { spec } = keeper(broken)
    let answered = false
    const source: Input = {
      async run({ emit }) {
        await emit(events('a', 1), { file: 1 })
        answered = true
      },
    }
    const { pipeline } = makePipeline([{ name: 'input_source' }, keep], {
      extra: [input('source', source), spec],
      ...(savePositions === undefined ? {} : { savePositions }),
    })
    await expect(pipeline.run(never())).rejects.toThrow('input/output error')
    expect(answered).toBe(false)
  })

  test('one action that does not close well keeps no other from closing', async () => {
    const log: string[] = []
    const bad = output('bad', { write: async () => {}, close: () => Promise.reject(new Error('stuck')) })
    const good = output('good', {
      write: async () => {},
      async close() {
        log.push('closed')
      },
    })
    const { pipeline } = makePipeline([{ name: 'output_bad' }, { name: 'output_good' }], { extra: [bad, good] })
    await pipeline.run(never())
    expect(log).toEqual(['closed'])
  })
})

test('an input that leaves nothing open is held back to the pace of its output', async () => {
  let written = 0
  let ahead = 0
  const slow = output('keep', {
    async write(batch) {
      await turn()
      written += batch.length
    },
  })
  const source: Input = {
    async run({ emit }) {
      for (let i = 1; i <= 20; i++) {
        await emit(events('a', 10), undefined, true)
        ahead = Math.max(ahead, i * 10 - written)
      }
    },
  }
  const { pipeline } = makePipeline([{ name: 'input_source' }, keep], { extra: [input('source', source), slow] })
  await pipeline.run(never())
  expect([written, ahead]).toEqual([200, 0])
})

test('what an output refuses during a commit is in the dead letters before the position is saved', async () => {
  const { letters, options } = await deadLettersOf()
  const refuse = output('keep', {
    async write() {
      await turn()
      throw new FeedooError('OUTPUT_REJECTED', 'no')
    },
  })
  const source: Input = {
    async run({ emit }) {
      await emit(events('a', 2), { file: 2 })
    },
  }
  let onDisk = -1
  const { pipeline } = makePipeline([{ name: 'input_source' }, keep], {
    ...options,
    extra: [input('source', source), refuse],
    savePositions: () => {
      onDisk = readFileSync(options.deadLetters, 'utf8').split('\n').length - 1
    },
  })
  await pipeline.run(never())
  expect(onDisk).toBe(2)
  expect(await letters()).toHaveLength(2)
})
