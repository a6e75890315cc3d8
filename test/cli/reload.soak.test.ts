import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test, vi } from 'vitest'
import { reloadUnderLoad } from './reload-lab.ts'

test('1,000 reloads under load, every tenth invalid: nothing lost, nothing doubled, no growth', async () => {
  vi.stubEnv('XDG_RUNTIME_DIR', join(tmpdir(), 'feedoo-test-run'))
  const figures = await reloadUnderLoad(1000)
  console.log(JSON.stringify(figures))
  expect(figures).toMatchObject({ missing: 0, doubled: 0, lostElsewhere: 0, invalid: 100 })
  // The counters of the pipeline that never changed never began anew.
  expect(figures.steadyCounted).toBeGreaterThan(0)
  expect(figures.steadyWritten).toBeGreaterThanOrEqual(figures.steadyCounted)
  expect(figures.steadyWritten - figures.steadyCounted).toBeLessThan(200)
  const median = (values: number[]) => values.sort((a, b) => a - b)[values.length >> 1] ?? 0
  // The first fifth is for the heap to find its size.
  const { files, rss } = figures
  expect(median(files.slice(-20))).toBeLessThanOrEqual(median(files.slice(20, 40)) + 2)
  expect(median(rss.slice(-20))).toBeLessThan(median(rss.slice(20, 40)) * 1.15)
})
