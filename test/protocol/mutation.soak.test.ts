// A million damaged requests: no crash, no hang, memory back to its level.
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, it } from 'vitest'
import { readMutations } from './mutation.ts'

it('a million mutated requests neither crash nor hang the reader, nor grow it', () => {
  setFlagsFromString('--expose-gc')
  const collect: unknown = runInNewContext('gc')
  const heapMiB = (): number => {
    if (typeof collect === 'function') collect()
    return process.memoryUsage().heapUsed / 2 ** 20
  }
  readMutations(50_000, 0)
  const before = heapMiB()
  for (let seed = 1; seed <= 20; seed++) {
    const { taken, waiting, refused, slowestMs } = readMutations(50_000, seed)
    const refusals = [...refused.values()].reduce((sum, count) => sum + count, 0)
    expect(taken + waiting + refusals).toBe(50_000)
    expect(slowestMs).toBeLessThan(5000)
  }
  expect(heapMiB() - before).toBeLessThan(16)
})
