import { serialize } from 'node:v8'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Output } from '../../src/core/action.ts'
import { DurableBuffer, type DurableBufferOptions } from '../../src/core/durable-buffer.ts'
import { FeedooError } from '../../src/core/errors.ts'
import type { Event } from '../../src/core/event.ts'
import { OutputBuffer, type OutputBufferOptions } from '../../src/core/output-buffer.ts'
import type { BufferChange, SavedBatch } from '../../src/core/state/pipeline-state.ts'
import { silent } from '../helpers/run-pipeline.ts'

const event = (n: number): Event => ({ tag: 'a', timestamp: 1, record: { n } })
const numbers = (batch: readonly Event[]) => batch.map(({ record }) => Number(record.n))
const turn = () => new Promise((resolve) => setTimeout(resolve, 2))
const away = () => new FeedooError('OUTPUT_UNAVAILABLE', 'it is away', { retriable: true })

/** What a state file keeps of one buffer. */
class Disk {
  batches: SavedBatch[] = []
  last = 0

  save({ add, done }: BufferChange): void {
    this.batches = [...this.batches.filter(({ seq }) => !done.includes(seq)), ...add]
    this.last = add.at(-1)?.seq ?? this.last
  }
}

/** A target that may be away, and may forget to say that it has taken a batch. */
class Target implements Output {
  isAway = false
  /** Batches that it takes and does not answer for. */
  silent = 0
  /** What it was given under each name, in the order in which names came first. */
  readonly taken = new Map<string, number[]>()
  /** Names that came with other events than before. */
  readonly torn: string[] = []

  async write(events: readonly Event[], name = ''): Promise<void> {
    if (this.isAway) throw away()
    const batch = numbers(events)
    const known = this.taken.get(name)
    if (known !== undefined && String(known) !== String(batch)) this.torn.push(name)
    this.taken.set(name, batch)
    if (this.silent > 0) {
      this.silent--
      throw away()
    }
  }

  get all(): number[] {
    return [...this.taken.values()].flat()
  }
}

interface Made {
  buffer: DurableBuffer
  dropped: number[]
  failures: unknown[]
  wanted: () => number
  kill: () => void
}

function make(
  output: Output,
  disk: Disk,
  options: Partial<DurableBufferOptions> & Partial<OutputBufferOptions> = {},
): Made {
  const dropped: number[] = []
  const failures: unknown[] = []
  let wanted = 0
  const end = new AbortController()
  const { signal = end.signal } = options
  const writer = new OutputBuffer(output, {
    ...{ bufferSize: 3, retryDelay: 0.001, retryMaxDelay: 0.001, copy: false, log: silent, reject: () => {} },
    ...{ signal, onFailing: () => buffer.wake(), ...options },
  })
  const buffer = new DurableBuffer(writer, {
    ...{ action: 'out', id: 'id', bufferSize: 3, limit: 1e9, whenFull: 'block', copy: false, giveUp: signal },
    ...{ left: disk.batches, last: disk.last, wantCommit: () => wanted++ },
    dropped: (events) => dropped.push(...numbers(events)),
    failed: (error) => failures.push(error),
    ...{ refused: () => undefined, unreadable: () => {} },
    ...options,
  })
  return { buffer, dropped, failures, wanted: () => wanted, kill: () => end.abort() }
}

function commit(buffer: DurableBuffer, disk: Disk): void {
  disk.save(buffer.cut())
  buffer.committed()
}

const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('add' as const), count: fc.integer({ min: 1, max: 8 }) }) },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant('commit' as const), dies: fc.constantFrom('no', 'no', 'before', 'after') }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('away' as const, 'back' as const, 'wait' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('silent' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('kill' as const) }) },
)

test('whenever it dies, the target has each committed event once, in order, and nothing that was not committed', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
      const disk = new Disk()
      const target = new Target()
      // The naive model: what was added and not committed, and what was committed.
      let held: number[] = []
      const committed: number[] = []
      let n = 0
      let made = make(target, disk)
      const restart = () => {
        made.kill()
        held = []
        made = make(target, disk)
        made.buffer.start()
      }
      for (const it of steps) {
        if (it.do === 'add') {
          for (let i = 0; i < it.count; i++) {
            made.buffer.add(event(n))
            held.push(n++)
          }
        } else if (it.do === 'commit') {
          const change = made.buffer.cut()
          if (it.dies !== 'before') {
            disk.save(change)
            committed.push(...held)
            held = []
          }
          if (it.dies === 'no') made.buffer.committed()
          else restart()
        } else if (it.do === 'kill') restart()
        else if (it.do === 'wait') await turn()
        else if (it.do === 'silent') target.silent++
        else target.isAway = it.do === 'away'
        expect(target.all).toEqual(committed.slice(0, target.all.length))
      }
      target.isAway = false
      await made.buffer.empty(new AbortController().signal)
      commit(made.buffer, disk)
      await made.buffer.empty(new AbortController().signal)
      expect(target.all).toEqual([...committed, ...held])
      expect(target.torn).toEqual([])
      expect(made.failures).toEqual([])
      disk.save(made.buffer.cut())
      expect(disk.batches).toEqual([])
      made.kill()
    }),
    { numRuns: 150 },
  )
})

test('names of batches never come again, also when the state of an earlier time is put back', async () => {
  const target = new Target()
  let backup = new Disk()
  for (let run = 0; run < 3; run++) {
    const disk = backup
    backup = Object.assign(new Disk(), disk)
    const { buffer, kill } = make(target, disk)
    buffer.add(event(run))
    commit(buffer, disk)
    await buffer.empty(new AbortController().signal)
    disk.save(buffer.cut())
    kill()
  }
  expect([...target.taken.values()]).toEqual([[0], [1], [2]])
})

test('what was left is written before what comes, with its metadata', async () => {
  const disk = new Disk()
  const rows = [['t', 2.5, { n: 7 }, { id: 'x' }]]
  disk.save({ action: 'out', add: [{ seq: 4, name: 'id/x/1', events: 1, data: serialize(rows) }], done: [] })
  const got: Event[] = []
  const names: (string | undefined)[] = []
  const target: Output = {
    async write(events, name) {
      got.push(...events)
      names.push(name)
    },
  }
  const { buffer, kill } = make(target, disk)
  expect(buffer.left).toBe(1)
  buffer.add(event(8))
  commit(buffer, disk)
  await buffer.empty(new AbortController().signal)
  expect(got).toEqual([{ tag: 't', timestamp: 2.5, record: { n: 7 }, metadata: { id: 'x' } }, event(8)])
  expect(names).toEqual(['id/x/1', expect.stringMatching(/^id\/[\w-]{16}\/5$/)])
  kill()
})

test('events are changed behind it no more, when it is to copy them', async () => {
  const disk = new Disk()
  const target = new Target()
  const { buffer, kill } = make(target, disk, { copy: true })
  const one = event(1)
  buffer.add(one)
  one.record.n = 2
  commit(buffer, disk)
  await buffer.empty(new AbortController().signal)
  expect(target.all).toEqual([1])
  kill()
})

test('at its limit it lets the commit wait until the target is back, or the pipeline stops', async () => {
  const disk = new Disk()
  const target = new Target()
  target.isAway = true
  const { buffer, kill } = make(target, disk, { limit: 10 })
  buffer.add(event(1))
  commit(buffer, disk)
  const stopping = new AbortController()
  const told: string[] = []
  const never = new AbortController().signal
  const stopped = buffer.room(stopping.signal).then(() => told.push('stopped'))
  await turn()
  expect(told).toEqual([])
  stopping.abort()
  await stopped
  const room = buffer.room(never).then(() => told.push('room'))
  await turn()
  expect(told).toEqual(['stopped'])
  target.isAway = false
  await room
  expect(target.all).toEqual([1])
  expect(buffer.bytes).toBe(0)
  kill()
})

test('under drop_oldest the oldest go, but not what is being written, and nobody waits', async () => {
  const disk = new Disk()
  const target = new Target()
  target.isAway = true
  const { buffer, dropped, wanted, kill } = make(target, disk, { limit: 1, whenFull: 'drop_oldest' })
  for (let n = 0; n < 9; n++) buffer.add(event(n))
  commit(buffer, disk)
  await buffer.room(new AbortController().signal)
  expect(dropped).toEqual([3, 4, 5, 6, 7, 8])
  expect(wanted()).toBe(2)
  disk.save(buffer.cut())
  expect(disk.batches.map(({ seq }) => seq)).toEqual([1])
  target.isAway = false
  await buffer.empty(new AbortController().signal)
  expect(target.all).toEqual([0, 1, 2])
  kill()
})

test('on a stop it waits for a target that takes events, not for one that is away', async () => {
  const disk = new Disk()
  const target = new Target()
  const { buffer, kill } = make(target, disk)
  for (let n = 0; n < 9; n++) buffer.add(event(n))
  commit(buffer, disk)
  await buffer.empty(AbortSignal.abort())
  expect(target.all).toHaveLength(9)
  target.isAway = true
  buffer.add(event(9))
  commit(buffer, disk)
  await buffer.empty(AbortSignal.abort())
  expect(buffer.left).toBe(1)
  expect(disk.batches).not.toEqual([])
  kill()
})

test('when the time is over it waits no more, not for a target either that never answers, and that is no failure', async () => {
  const disk = new Disk()
  const end = new AbortController()
  const { buffer, failures } = make({ write: () => new Promise(() => {}) }, disk, { signal: end.signal })
  buffer.add(event(1))
  commit(buffer, disk)
  // The stop comes first, as it does in a pipeline.
  const empty = buffer.empty(AbortSignal.abort())
  await turn()
  end.abort()
  await empty
  expect(buffer.left).toBe(1)
  expect(failures).toEqual([])
})

test('a target that can never take anything any more is told of', async () => {
  const disk = new Disk()
  const gone = new FeedooError('STDOUT_CLOSED', 'nobody reads')
  const { buffer, failures, kill } = make({ write: () => Promise.reject(gone) }, disk)
  buffer.add(event(1))
  commit(buffer, disk)
  await buffer.settled
  expect(failures).toEqual([gone])
  expect(buffer.left).toBe(1)
  kill()
})

test('a batch that cannot be read stays in the state, is told of, and holds up nothing', async () => {
  const disk = new Disk()
  const target = new Target()
  const deep = Buffer.concat([Buffer.from([0xff, 0x0f]), Buffer.from('6f220161'.repeat(20_000), 'hex')])
  disk.save({ action: 'out', add: [{ seq: 4, name: 'id/x/1', events: 1, data: deep }], done: [] })
  const unreadable: number[] = []
  const { buffer, kill } = make(target, disk, { unreadable: ({ seq }) => unreadable.push(seq) })
  buffer.add(event(1))
  commit(buffer, disk)
  await buffer.empty(new AbortController().signal)
  disk.save(buffer.cut())
  expect([unreadable, target.all, disk.batches.map(({ seq }) => seq)]).toEqual([[4], [1], [4]])
  kill()
})
