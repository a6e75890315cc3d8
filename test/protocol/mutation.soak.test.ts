// A million damaged requests: no crash, no hang, memory back to its level.
import { setImmediate as turn } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, it } from 'vitest'
import { readMutations } from './mutation.ts'

it('a million mutated requests neither crash nor hang the reader, nor grow it', async () => {
  setFlagsFromString('--expose-gc')
  const collect: unknown = runInNewContext('gc')
  const heapMiB = async (): Promise<number> => {
    // zlib gives its memory back in the next turn of the event loop.
    await turn()
    if (typeof collect === 'function') collect()
    return process.memoryUsage().heapUsed / 2 ** 20
  }
  readMutations(50_000, 0)
  const before = await heapMiB()
  for (let seed = 1; seed <= 20; seed++) {
    const { taken, waiting, refused, slowestMs } = readMutations(50_000, seed)
    const refusals = [...refused.values()].reduce((sum, count) => sum + count, 0)
    expect(taken + waiting + refusals).toBe(50_000)
    expect(slowestMs).toBeLessThan(5000)
    await turn()
  }
  expect((await heapMiB()) - before).toBeLessThan(16)
})
