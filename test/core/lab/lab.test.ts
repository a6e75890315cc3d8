import { describe, expect, test } from 'vitest'
import { VirtualClock } from '../../../src/core/clock.ts'
import { openLab } from '../../../src/core/lab/lab.ts'
import { around, labConfig, labRegistry, onlyPipeline } from '../../helpers/lab.ts'

/** Sends one event through actions, and hands back the alerts as `tag place delivered`, and the tags at the end. */
async function send(middle: string) {
  const alerts: string[] = []
  const end: string[] = []
  const lab = await openLab({
    config: onlyPipeline(await labConfig(around(middle))),
    registry: labRegistry,
    clock: new VirtualClock(5),
    alert: ({ event, rule, delivered }) => alerts.push(`${event.tag} ${rule} ${delivered}`),
    sink: ({ tag }) => end.push(tag),
  })
  await lab.send([{ tag: 'in', timestamp: 5, record: { bad: 1 } }])
  await lab.close()
  return { alerts, end, stats: lab.stats() }
}

const probe = '- { name: filter_probe }'
const output = '- { name: output_untouchable, match: alert }'

describe('an alert is seen', () => {
  test.each([
    ['once, where it reaches an output', probe, ['alert 1 true']],
    ['once, when it reaches two outputs', `${probe}\n${output}\n${output}`, ['alert 1 true']],
    [
      'as the first output sees it',
      `${probe}\n${output}\n- { name: filter_retag, match: alert, tag: x }`,
      ['alert 1 true'],
    ],
    [
      'as actions before the output have made it',
      `${probe}\n- { name: filter_retag, match: alert, tag: alert.x }`,
      ['alert.x 1 true'],
    ],
    ['at the end, when no output takes it', '- { name: filter_probe, tag: lost }', ['lost 1 false']],
    [
      'with the rule that it comes from',
      `${probe}\n- { name: filter_probe, match: in, tag: alert2 }`,
      ['alert2 2 true', 'alert 1 true'],
    ],
  ])('%s', async (_, middle, alerts) => {
    expect((await send(middle)).alerts).toEqual(alerts)
  })
})

test('events come out at the end, the alert behind its cause', async () => {
  expect((await send(probe)).end).toEqual(['in', 'alert'])
})

test('the counters are those of the actions of the pipeline, in their places', async () => {
  const { stats } = await send(`${probe}\n- { name: filter_retag, label: again, match: alert, tag: alert }`)
  expect(stats.map((one) => one?.label)).toEqual([undefined, 'filter_probe', 'again', undefined])
  expect(stats[1]?.do).toEqual({ in: 1 })
  expect(stats[2]?.do).toEqual({ alert: 1 })
})
