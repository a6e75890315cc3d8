import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createQuestions } from '../../../src/core/dns/questions.ts'

test('equal questions share one while it is open, and are asked again later, also after a failure', async () => {
  let asked = 0
  const ask = createQuestions(async (name) => {
    asked++
    if (name === 'bad.test') throw new Error('no answer')
    return ['127.0.0.2']
  }, 2)
  expect(await Promise.all([ask('a.test'), ask('a.test'), ask('a.test')])).toEqual([
    ['127.0.0.2'],
    ['127.0.0.2'],
    ['127.0.0.2'],
  ])
  expect(asked).toBe(1)
  await ask('a.test')
  expect(asked).toBe(2)
  const failed = await Promise.allSettled([ask('bad.test'), ask('bad.test'), ask('bad.test')])
  expect(failed.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected'])
  expect(asked).toBe(3)
  await expect(ask('bad.test')).rejects.toThrow('no answer')
  expect(await ask('a.test')).toEqual(['127.0.0.2'])
  expect(asked).toBe(5)
})

test('whatever is asked in whatever order is answered, never more than `concurrency` at once', async () => {
  const names = fc.array(fc.integer({ min: 0, max: 9 }), { maxLength: 40 })
  await fc.assert(
    fc.asyncProperty(fc.scheduler(), names, fc.integer({ min: 1, max: 5 }), async (scheduler, names, concurrency) => {
      let open = 0
      const ask = createQuestions(async (name) => {
        open++
        expect(open).toBeLessThanOrEqual(concurrency)
        await scheduler.schedule(Promise.resolve())
        open--
        if (name.endsWith('9')) throw new Error('no answer')
        return [name]
      }, concurrency)
      const answers = Promise.allSettled(names.map((name) => ask(String(name))))
      await scheduler.waitFor(answers)
      expect((await answers).map((answer) => (answer.status === 'fulfilled' ? answer.value : 'failed'))).toEqual(
        names.map((name) => (name === 9 ? 'failed' : [String(name)])),
      )
    }),
    { numRuns: 200 },
  )
})
