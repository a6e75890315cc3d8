// filter_flatline in a daemon, by the clock on the wall: in silence nothing else tells that it is time.
import { expect, test } from 'vitest'
import { Daemon, scratchFolder } from '../helpers/daemon.ts'

const rule = (match: string, more = '') =>
  `    - { name: filter_flatline, match: ${match}, tag: alert, threshold: 1, timeframe: 3${more} }
    - { name: output_stdout, match: alert }
`

test.each([
  ['when nothing ever came', `    - { name: input_forward, host: 127.0.0.1, port: 0 }\n${rule('none')}`],
  [
    'behind the last event of a key',
    `    - { name: input_dummy, tag: beat, data: { host: web } }
    - { name: input_forward, host: 127.0.0.1, port: 0 }
${rule('beat', ', query_key: host')}`,
  ],
])('in complete silence an alert comes within a second of its due time, %s', async (_, actions) => {
  const daemon = await Daemon.start(`pipelines:\n  p:\n${actions}`, await scratchFolder())
  await daemon.printed(/\n/)
  const arrived = Date.now() / 1000
  const due = Number(/^alert\[([\d.]+)\]/.exec(daemon.stdout)?.[1])
  expect(arrived).toBeGreaterThanOrEqual(due)
  expect(arrived - due).toBeLessThan(1)
})
