import { expect, test } from 'vitest'
import type { Json } from '../../src/core/action.ts'
import { Committer, type CommitterOptions } from '../../src/core/committer.ts'

function committer(options: Partial<CommitterOptions> = {}) {
  const log: string[] = []
  const made = new Committer({
    atBoundary: (cut) => cut(),
    makeSafe: async (positions) => {
      for (const [input, changed] of positions) log.push(`save ${input} ${JSON.stringify([...changed])}`)
    },
    interval: 1,
    failed: (error) => log.push(`failed ${String(error)}`),
    ...options,
  })
  return { committer: made, log }
}

const turn = () => new Promise((resolve) => setImmediate(resolve))

test('everything that waits is answered by one commit', async () => {
  const { committer: it } = committer()
  const safe = Array.from({ length: 1000 }, () => it.whenSafe(0, 1, undefined, false))
  expect(it.inFlight).toBe(1000)
  await it.drain()
  await Promise.all(safe)
  expect(it.commits).toBe(1)
  expect(it.inFlight).toBe(0)
})

test('the timer brings a commit without anybody asking', async () => {
  const { committer: it } = committer({ interval: 0.001 })
  await it.whenSafe(0, 1, undefined, false)
  expect(it.commits).toBe(1)
})

test('the input is answered when everything is safe, not before', async () => {
  const log: string[] = []
  const { committer: it } = committer({
    async makeSafe(positions) {
      log.push('writing')
      await turn()
      log.push(`written up to ${JSON.stringify([...(positions.get(0) ?? [])])}`)
    },
  })
  await it.whenSafe(0, 1, { file: 7 }, true).then(() => log.push('answered'))
  expect(log).toEqual(['writing', 'written up to [["file",7]]', 'answered'])
})

test('of the positions of an input the last value of each key is saved, null among them, once a commit', async () => {
  const { committer: it, log } = committer()
  void it.whenSafe(0, 1, { a: 1, b: 1 }, false)
  void it.whenSafe(1, 1, { a: 'other input' }, false)
  void it.whenSafe(0, 1, JSON.parse('{"a":2,"b":null,"__proto__":3}') as Record<string, Json>, false)
  void it.whenSafe(2, 1, undefined, false)
  await it.drain()
  expect(log).toEqual(['save 0 [["a",2],["b",null],["__proto__",3]]', 'save 1 [["a","other input"]]'])
})

test('an input that waits for an answer gets it without the timer, also when it asks during a commit', async () => {
  const gates: (() => void)[] = []
  const { committer: it } = committer({ makeSafe: () => new Promise((done) => gates.push(done)) })
  const first = it.whenSafe(0, 1, undefined, true)
  await turn()
  await turn()
  expect(gates).toHaveLength(1)
  const second = it.whenSafe(0, 1, undefined, true)
  gates[0]?.()
  await first
  // The timer is at 100 ms or later; turns of the event loop are all that may pass.
  for (let i = 0; i < 5 && gates.length < 2; i++) await turn()
  expect(gates).toHaveLength(2)
  gates[1]?.()
  await second
  expect(it.commits).toBe(2)
})

test('what is sent during a commit is not answered by it', async () => {
  const gates: (() => void)[] = []
  const { committer: it } = committer({ makeSafe: () => new Promise((done) => gates.push(done)) })
  const order: string[] = []
  const first = it.whenSafe(0, 1, undefined, true).then(() => order.push('first'))
  await turn()
  await turn()
  const second = it.whenSafe(0, 1, undefined, true).then(() => order.push('second'))
  gates[0]?.()
  await first
  await turn()
  expect(order).toEqual(['first'])
  while (gates.length < 2) await turn()
  gates[1]?.()
  await second
})

test('many unsafe events start a commit before its time', async () => {
  const { committer: it } = committer()
  const early = it.whenSafe(0, 100, undefined, false)
  const many = it.whenSafe(0, 25_000, undefined, false)
  for (let i = 0; i < 5 && it.commits === 0; i++) await turn()
  expect(it.commits).toBe(1)
  await Promise.all([early, many])
})

test('when a commit fails, nobody is answered, it is told once, and nothing is tried again', async () => {
  const { committer: it, log } = committer({ interval: 0.001, makeSafe: () => Promise.reject(new Error('no')) })
  let answered = false
  void it.whenSafe(0, 3, { a: 1 }, true).then(() => {
    answered = true
  })
  while (log.length === 0) await turn()
  void it.whenSafe(0, 4, undefined, true)
  for (let i = 0; i < 5; i++) await turn()
  expect(log).toEqual(['failed Error: no'])
  expect(answered).toBe(false)
  expect(it.inFlight).toBe(7)
  await expect(it.drain()).rejects.toThrow('no')
})

test('a commit covers what was sent before its cut, which waits for a boundary', async () => {
  const cuts: (() => void)[] = []
  const { committer: it } = committer({ atBoundary: (cut) => cuts.push(cut) })
  const order: string[] = []
  const before = it.whenSafe(0, 1, undefined, true).then(() => order.push('before'))
  while (cuts.length < 1) await turn()
  // A batch that was half way when the commit began, and has come through.
  const halfWay = it.whenSafe(0, 1, undefined, true).then(() => order.push('half way'))
  cuts[0]?.()
  await Promise.all([before, halfWay])
  expect(it.commits).toBe(1)
})
