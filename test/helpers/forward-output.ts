// An output_forward of its own, without a pipeline around it.
import { onTestFinished } from 'vitest'
import { outputForward } from '../../src/actions/output/output_forward.ts'
import type { Output } from '../../src/core/action.ts'
import { type Clock, systemClock } from '../../src/core/clock.ts'
import type { FeedooError } from '../../src/core/errors.ts'
import type { Event } from '../../src/core/event.ts'
import { EventTimeline } from '../../src/core/timeline.ts'
import { recordingLog } from './recording-log.ts'

export interface ForwardOutput extends Output {
  deadLetters: { event: Event; error: FeedooError }[]
  lines: Record<string, unknown>[]
}

/** It is closed when the test is over. */
export async function forwardOutput(
  params: Record<string, unknown>,
  clock: Clock = systemClock,
): Promise<ForwardOutput> {
  const deadLetters: ForwardOutput['deadLetters'] = []
  const { log, lines } = recordingLog()
  const built = outputForward.build(params, {
    pipeline: 'test',
    label: 'output_forward',
    clock,
    time: new EventTimeline(clock),
    log,
    deadLetter: (event, error) => void deadLetters.push({ event, error }),
    countError: () => {},
    count: () => {},
  })
  if (built.kind !== 'output') throw new Error('output_forward is no output')
  const output = built.action
  await output.open?.()
  onTestFinished(() => output.close?.())
  return Object.assign(output, { deadLetters, lines })
}

/** Numbered events of a tag. */
export function numbered(count: number, tag = 'app', first = 0): Event[] {
  return Array.from({ length: count }, (_, i) => ({ tag, timestamp: 1_700_000_000 + i, record: { n: first + i } }))
}
