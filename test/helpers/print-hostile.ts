// A process that sends every hostile record through output_stdout, and names on standard error those set aside.
import { hostileNames, hostileRecord } from './hostile.ts'
import { makePipeline } from './run-pipeline.ts'

for (const name of hostileNames) {
  const list = [{ name: 'output_stdout', match: 'hostile*' }]
  const { pipeline } = makePipeline(list)
  const { record } = hostileRecord(name)
  await pipeline.inject([
    { tag: 'hostile\n\u001b', timestamp: 1.5, record },
    { tag: 'hostile.after', timestamp: 2, record: { after: name } },
  ])
  await pipeline.run(new AbortController().signal)
  if (Object.keys(pipeline.stats().actions[0]?.dead_letters ?? {}).length > 0) process.stderr.write(`${name}\n`)
}
