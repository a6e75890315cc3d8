// Commits that say their number in everything they hold, so that a test sees whether one is there whole.
import type { StateChange } from '../../../src/core/state/pipeline-state.ts'
import type { StateFile } from '../../../src/core/state/state-file.ts'

/** Bytes of the largest segment: some pages of the file. */
const longest = 60_000

export function numbered(n: number): StateChange {
  const segment = Buffer.from(`${n} `.repeat(1 + ((n * 7919) % (longest / 8))))
  return {
    memories: [{ action: 'a', format: 'numbers', segment, keep: 3 }],
    marks: new Map([['out', { n }]]),
    positions: new Map([['in', new Map([['n', n]])]]),
    timelines: new Map([['event', { start: 0, now: n }]]),
    buffers: [{ action: 'out', add: [{ seq: n, name: 'id/x/1', events: 1, data: segment }], done: [n - 1] }],
  }
}

/** Which numbers a file holds, by what tells them: all the same when it holds one commit and nothing of another. */
export function numbersIn(file: StateFile): Record<string, unknown> {
  const segments = file.memory('a', 'numbers').map((segment) => Buffer.from(segment))
  const [batch] = file.batches('out')
  return {
    seq: file.seq,
    segments: segments.map((segment) => segment.equals(segmentOf(Number.parseInt(segment.toString('latin1'), 10)))),
    newest: Number.parseInt(segments.at(-1)?.toString('latin1') ?? '', 10),
    mark: file.marks('out').get('n'),
    position: file.positions('in').get('n'),
    now: file.timeline('event')?.now,
    batch: batch?.seq,
    last: file.lastBatch('out'),
  }
}

/** What `numbersIn` says after commit `n`. */
export function allNumbered(n: number): Record<string, unknown> {
  const segments = Array<boolean>(Math.min(n, 3)).fill(true)
  return { seq: n, segments, newest: n, mark: n, position: n, now: n, batch: n, last: n }
}

function segmentOf(n: number): Uint8Array {
  return numbered(n).memories[0]?.segment ?? new Uint8Array()
}
