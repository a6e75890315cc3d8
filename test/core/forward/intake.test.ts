import { describe, expect, it } from 'vitest'
import { Intake, type IntakeOptions } from '../../../src/core/forward/intake.ts'
import { newFrame } from '../../../src/protocol/forward-frame.ts'

/** An intake whose events become safe when they are told to. */
function slow(limits: Partial<IntakeOptions>) {
  const safe: (() => void)[] = []
  const intake = new Intake({
    run: { emit: () => new Promise<void>((resolve) => safe.push(resolve)), positions: new Map() },
    maxOpen: 1000,
    maxOpenBytes: 1_000_000,
    tagPrefix: '',
    dedupeWindow: 10,
    dedupeTotal: 100,
    now: () => 0,
    tally: { note() {}, close() {} },
    onFull() {},
    onRoom() {},
    ...limits,
  })
  return {
    intake,
    /** Adds a request until there is no room, 5,000 times at most. */
    fill(events: number, chunk?: string) {
      let count = 0
      for (; count < 5000 && !intake.isFull; count++) {
        const frame = newFrame('app')
        for (let i = 0; i < events; i++) frame.entries.push({ tag: 'app', timestamp: 0, record: {} })
        if (chunk !== undefined) frame.option.chunk = Buffer.from(chunk)
        intake.add(frame, 10 + events * 2, { size: 10, ready() {} }, 'sender')
        intake.flush()
      }
      return count
    },
    async settle() {
      for (const resolve of safe.splice(0)) resolve()
      await intake.drain()
    },
  }
}

describe('what is taken and not safe yet', () => {
  it('is bounded in bytes also when its events are empty', async () => {
    const { intake, fill, settle } = slow({ maxOpen: 1_000_000, maxOpenBytes: 1_000_000 })
    // 258 bytes for an event of two.
    expect(fill(1000)).toBe(4)
    await settle()
    expect([intake.isFull, intake.open]).toEqual([false, 0])
  })

  it('is bounded also when it is one chunk that comes again and again', async () => {
    const { intake, fill, settle } = slow({ maxOpen: 100 })
    expect(fill(1, 'a')).toBe(100)
    await settle()
    expect([intake.isFull, intake.open]).toEqual([false, 0])
    expect(slow({ maxOpen: 10_000, maxOpenBytes: 2000 }).fill(1, 'a')).toBe(8)
  })
})
