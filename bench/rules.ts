// Events with times of their own through one alert rule, beside the same pipeline without it.
import type { BenchCase } from './case.ts'

const minute = 60
const day = 86_400
/** Each event has a new key: its memory is what matters. */
const million: Partial<BenchCase> = { memoryLimitMB: 1000, limit: { of: 'rules-plain', adds: 2 } }

/** Reads, parses and dates the lines, and nothing else. */
const plain: BenchCase = ruleCase('rules-plain', '', { limit: { of: 'floor', ratio: 2 } })

export const rules: readonly BenchCase[] = [
  plain,
  frequency('rules-frequency-1-key-minute', undefined, 100_000, minute),
  frequency('rules-frequency-1-key-day', undefined, 2_000_000, day),
  frequency('rules-frequency-100k-keys-minute', 'user', 50, minute),
  frequency('rules-frequency-100k-keys-day', 'user', 50, day),
  frequency('rules-frequency-1m-keys-minute', 'from', 50, minute, million),
  frequency('rules-frequency-1m-keys-day', 'from', 50, day, million),
  ruleCase(
    'rules-change-100k-keys',
    `\
    - name: filter_change
      tag: alert
      query_key: user
      compare_key: state
      realert: 1000000
`,
    // Nearly a fifth of the events are changes, which the alerts have to count.
    { memoryLimitMB: 300, limit: { of: 'rules-plain', adds: 2 } },
  ),
  ruleCase(
    'rules-spike-100k-keys',
    `\
    - name: filter_spike
      tag: alert
      query_key: user
      spike_height: 50
      spike_type: up
      timeframe: 60
`,
    // Both windows of every key move on.
    { memoryLimitMB: 300, limit: { of: 'rules-plain', adds: 2 } },
  ),
  spike('rules-spike-100k-keys-up', 'up'),
  spike('rules-spike-100k-keys-both', 'both'),
]

/** Counts that are never reached: an alert costs more than an event. */
function frequency(
  name: string,
  key: string | undefined,
  count: number,
  timeframe: number,
  own: Partial<BenchCase> = {},
) {
  const yaml = `\
    - name: filter_frequency
      tag: alert
      num_events: ${count}
      timeframe: ${timeframe}
${key === undefined ? '' : `      query_key: ${key}\n`}`
  return ruleCase(name, yaml, { memoryLimitMB: 300, ...own })
}

/** A key has an event in half an hour or so; few of the rises and falls are told. */
function spike(name: string, type: string) {
  const yaml = `\
    - name: filter_spike
      tag: alert
      query_key: user
      timeframe: 3600
      spike_height: 3
      spike_type: ${type}
      threshold_cur: 4
      threshold_ref: 4
      realert: 1000000
`
  return ruleCase(name, yaml, { memoryLimitMB: 300 })
}

function ruleCase(name: string, rule: string, own: Partial<BenchCase>): BenchCase {
  return {
    name,
    data: 'keys',
    floor: 'rules-plain.mjs',
    writesNothing: true,
    limit: { of: 'rules-plain', adds: 1 },
    yaml: (input) => `\
pipelines:
  bench:
    - name: input_file
      tag: app.log
      path_pattern: ${input}
      once: true
    - name: parser_json
      key: log
    - name: filter_date
      key: time
      timestamp: true
${rule}`,
    ...own,
  }
}
