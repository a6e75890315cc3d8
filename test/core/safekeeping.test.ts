import { serialize } from 'node:v8'
import { expect, test } from 'vitest'
import type { Json, Output, Position } from '../../src/core/action.ts'
import { systemClock } from '../../src/core/clock.ts'
import { FeedooError } from '../../src/core/errors.ts'
import type { Event } from '../../src/core/event.ts'
import { type BufferParams, Safekeeping, type SafekeepingOptions } from '../../src/core/safekeeping.ts'
import type { PipelineState, SavedBatch, StateChange } from '../../src/core/state/pipeline-state.ts'
import { Timelines } from '../../src/core/timeline.ts'
import { recordingLog } from '../helpers/recording-log.ts'
import { silent } from '../helpers/run-pipeline.ts'

const event = (n: number): Event => ({ tag: 'a', timestamp: 1, record: { n } })
const turn = () => new Promise((resolve) => setImmediate(resolve))
const never = new AbortController().signal

/** Keeps what a state file would keep of marks, buffers and positions. */
class PlainState implements PipelineState {
  readonly id = 'id'
  readonly isDurable = true
  readonly kept = new Map<string, Map<string, Json>>()
  readonly buffers = new Map<string, SavedBatch[]>()
  /** What was done, in order. */
  readonly log: string[] = []
  /** Called in a save, before anything is written. */
  before: () => Promise<void> = async () => {}

  memory = () => []
  timeline = () => undefined
  wanted = () => true
  lastBatch = () => 0
  waiting = () => [...this.buffers].map(([action, batches]) => ({ action, events: batches.length }))
  marksElsewhere = () => undefined
  close = () => {}

  marks(action: string): Map<string, Json> {
    return this.kept.get(action) ?? new Map()
  }

  marked(): string[] {
    return [...this.kept.keys()]
  }

  batches(action: string): SavedBatch[] {
    return this.buffers.get(action) ?? []
  }

  intend(action: string, marks: Position): void {
    this.log.push(`intend ${action}`)
    this.#mark(action, marks)
  }

  async save({ marks, buffers, positions }: StateChange): Promise<void> {
    await this.before()
    for (const [action, changed] of marks) this.#mark(action, changed)
    for (const { action, add, done } of buffers) {
      const left = this.batches(action).filter(({ seq }) => !done.includes(seq))
      this.buffers.set(action, [...left, ...add])
    }
    this.log.push(`save ${[...positions].map(([input, changed]) => `${input} ${JSON.stringify([...changed])}`)}`)
  }

  #mark(action: string, marks: Position): void {
    const kept = this.marks(action)
    for (const [name, mark] of Object.entries(marks)) {
      if (mark === null) kept.delete(name)
      else kept.set(name, mark)
    }
    this.kept.set(action, kept)
  }
}

function make(state: PipelineState, options: Partial<SafekeepingOptions> = {}): Safekeeping {
  return new Safekeeping({
    ...{ pipeline: 'p', keys: ['out', 'in'], state, handover: undefined, log: silent, savePositions: undefined },
    ...{ stopping: never, giveUp: never, wantCommit: () => {}, failed: () => {} },
    timelines: new Timelines(systemClock),
    ...options,
  })
}

const buffering: BufferParams = {
  ...{ bufferSize: 10, retryDelay: 0.001, retryMaxDelay: 0.001, copy: false, log: silent },
  ...{ limit: 1e9, whenFull: 'block', reject: () => {}, dropped: () => {}, refused: () => undefined },
}

/** A promise, and how to keep it. */
function gate(): { opened: Promise<void>; open: () => void } {
  let open = () => {}
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  return { opened, open }
}

test.each(['while the output syncs', 'while the state saves'])(
  'an intent that comes after the mark of a commit outlives it: %s',
  async (when) => {
    const state = new PlainState()
    const { opened, open } = gate()
    const output: Output = {
      write: async () => {},
      writesDuringSync: true,
      sync: () => (when === 'while the output syncs' ? opened : Promise.resolve()),
      // The file was closed, and all of it is safe: nothing to cut there any more.
      mark: () => ({ closed: null, written: 5, untouched: 1 }),
    }
    if (when === 'while the state saves') state.before = () => opened
    const it = make(state)
    it.outputBuffer(0, output, buffering).add(event(1))
    const saved = it.makeSafe(new Map())
    await turn()
    // It is opened again, and another file has taken the name of the second, before the commit is saved.
    it.intentOf(0)?.({ closed: 7, written: 0 })
    open()
    await saved
    expect(Object.fromEntries(state.marks('out'))).toEqual({ closed: 7, written: 0, untouched: 1 })
  },
)

test('an intent that comes before the mark gives way to it', async () => {
  const state = new PlainState()
  const it = make(state)
  const output: Output = { write: async () => it.intentOf(0)?.({ file: 0 }), mark: () => ({ file: 3 }) }
  it.outputBuffer(0, output, buffering).add(event(1))
  await it.makeSafe(new Map())
  expect(Object.fromEntries(state.marks('out'))).toEqual({ file: 3 })
})

test('outputs with marks are written before the commit, others after it', async () => {
  const state = new PlainState()
  const writes = (name: string): Output => ({ write: async () => void state.log.push(`write ${name}`) })
  const it = make(state, { keys: ['direct', 'buffered', 'in'] })
  const direct = it.outputBuffer(0, { ...writes('direct'), mark: () => ({}) }, buffering)
  const buffered = it.outputBuffer(1, writes('buffered'), buffering)
  direct.add(event(1))
  buffered.add(event(1))
  await it.makeSafe(new Map([[2, new Map([['file', 9]])]]))
  await turn()
  expect(state.log).toEqual(['write direct', 'save in [["file",9]]', 'write buffered'])
})

test('a dead letter is in the state no later than the end of the batch that it comes from', async () => {
  const state = new PlainState()
  const it = make(state)
  const refusing: Output = { write: () => Promise.reject(new FeedooError('OUTPUT_REJECTED', 'no')) }
  const letters: Event[] = []
  const { opened } = gate()
  const dead = it.deadLetterBuffer({ write: () => opened }, buffering, true)
  const reject = (letter: Event) => {
    letters.push(letter)
    dead.add(letter)
  }
  it.outputBuffer(0, refusing, { ...buffering, reject }).add(event(1))
  await it.makeSafe(new Map())
  await turn()
  expect(letters).toHaveLength(1)
  for (let commits = 0; state.batches('out').length > 0; commits++) {
    expect(commits).toBeLessThan(3)
    await it.makeSafe(new Map())
    await turn()
  }
  expect(state.batches('dead_letters').map(({ events }) => events)).toEqual([1])
})

test.each(['an output', 'an output that is gone'])(
  'marks that a kill has left are looked at soon after the start, without any events: those of %s',
  async (whose) => {
    const state = new PlainState()
    const key = whose === 'an output' ? 'out' : 'gone'
    state.intend(key, { file: { path: '/nowhere', length: 1 } })
    let wanted = 0
    const it = make(state, { wantCommit: () => wanted++ })
    it.outputBuffer(0, { write: async () => {}, mark: () => ({ file: null }) }, buffering)
    it.restore()
    it.start()
    expect(wanted).toBe(1)
    await it.makeSafe(new Map())
    expect(state.marks(key).size).toBe(0)
  },
)

test('without marks nothing is committed at the start', () => {
  const state = new PlainState()
  let wanted = 0
  const it = make(state, { wantCommit: () => wanted++ })
  it.outputBuffer(0, { write: async () => {}, mark: () => ({}) }, buffering)
  it.start()
  expect(wanted).toBe(0)
})

test('at a clean end no marks are left, and what waits for a target that is away is counted', async () => {
  const state = new PlainState()
  const stop = new AbortController()
  const it = make(state, { keys: ['direct', 'buffered'], stopping: stop.signal })
  const away = () => Promise.reject(new FeedooError('OUTPUT_UNAVAILABLE', 'away', { retriable: true }))
  const direct = it.outputBuffer(0, { write: async () => {}, mark: () => ({ file: 3 }) }, buffering)
  const buffered = it.outputBuffer(1, { write: away }, buffering)
  for (const buffer of [direct, buffered]) buffer.add(event(1))
  await it.makeSafe(new Map())
  expect(state.marks('direct').size).toBe(1)
  expect(it.finishing).toBe(false)
  stop.abort()
  await it.finish()
  expect(it.finishing).toBe(true)
  expect(state.marks('direct').size).toBe(0)
  expect(it.left).toBe(1)
  expect(state.batches('buffered')).toHaveLength(1)
})

test('at a clean end the marks that an output still needs are left, such as those of a recovery that waits', async () => {
  const state = new PlainState()
  state.intend('out', { undo: 7, old: 1 })
  const it = make(state)
  it.outputBuffer(0, { write: async () => {}, mark: () => ({}), lastingMarks: () => ({ undo: 7 }) }, buffering)
  await it.makeSafe(new Map())
  await it.finish()
  expect(Object.fromEntries(state.marks('out'))).toEqual({ undo: 7 })
})

test('what waits for an output that is gone, or for dead letters that are not kept, is told at the start', () => {
  const state = new PlainState()
  const batch = { seq: 1, name: 'b', events: 1, data: serialize([['a', 1, {}, undefined]]) }
  for (const action of ['out', 'gone', 'dead_letters']) state.buffers.set(action, [batch])
  const { lines, log } = recordingLog()
  const it = make(state, { log })
  it.outputBuffer(0, { write: async () => {} }, buffering)
  it.deadLetterBuffer({ write: async () => {} }, buffering, false)
  it.start()
  expect(lines.map(({ level, action, events }) => [level, action, events])).toEqual([
    ['warn', 'gone', 1],
    ['warn', 'dead_letters', 1],
  ])
  expect(lines[0]?.msg).toContain('give an output this name and label again')
})
