// The counters of all pipelines in the text format of Prometheus.
import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client'
import { type CommitTimes, commitTimeBounds } from '../core/commit-times.ts'
import { type ActionStats, type PipelineStats, sum } from '../core/metrics.ts'

/** What describes the process itself: measured all the time, so it exists once. */
const processMetrics = new Registry()
collectDefaultMetrics({ register: processMetrics })

export const prometheusContentType = processMetrics.contentType

/** One metric of each action. Tags are no label: there can be thousands. */
const actionMetrics: readonly { name: string; help: string; value(action: ActionStats): number }[] = [
  { name: 'feedoo_events_in_total', help: 'Events that reached the action.', value: (action) => sum(action.in) },
  { name: 'feedoo_events_out_total', help: 'Events that went on from the action.', value: (action) => sum(action.out) },
  {
    name: 'feedoo_events_bypassed_total',
    help: 'Events that the match of the action did not take.',
    value: (action) => sum(action.bypass),
  },
  {
    name: 'feedoo_events_dropped_total',
    help: 'Events that the action threw away because it was told to.',
    value: (action) => sum(action.dropped),
  },
  {
    name: 'feedoo_events_errors_total',
    help: 'Events that the action could not handle.',
    value: (action) => sum(action.errors),
  },
  {
    name: 'feedoo_events_dead_letters_total',
    help: 'Events of the action that went to the dead letters.',
    value: (action) => sum(action.dead_letters),
  },
  {
    name: 'feedoo_output_retries_total',
    help: 'Times that an output tried again.',
    value: (action) => action.retries,
  },
]

/** The page for one scrape. Its registry is made anew, so that scrapes at the same time cannot mix. */
export async function prometheusText(pipelines: Record<string, PipelineStats>): Promise<string> {
  const registry = new Registry()
  for (const { name, help, value } of actionMetrics) {
    const labelNames = ['pipeline', 'action', 'index', 'kind']
    const counter = new Counter({ name, help, labelNames, registers: [registry] })
    for (const [pipeline, { actions }] of Object.entries(pipelines)) {
      for (const [index, action] of actions.entries()) {
        counter.inc({ pipeline, action: action.label, index, kind: action.kind }, value(action))
      }
    }
  }
  const own = new Counter({
    name: 'feedoo_action_count_total',
    help: 'What else the action counts, by the name of the count.',
    labelNames: ['pipeline', 'action', 'index', 'kind', 'count'],
    registers: [registry],
  })
  for (const [pipeline, { actions }] of Object.entries(pipelines)) {
    for (const [index, { label, kind, counters }] of actions.entries()) {
      for (const [count, value] of Object.entries(counters)) {
        own.inc({ pipeline, action: label, index, kind, count }, value)
      }
    }
  }
  const waiting = new Gauge({
    name: 'feedoo_buffer_bytes',
    help: 'Bytes in the state that wait for the target of the output.',
    labelNames: ['pipeline', 'action', 'index', 'kind'],
    registers: [registry],
  })
  for (const [pipeline, { actions }] of Object.entries(pipelines)) {
    for (const [index, { label, kind, waiting: bytes }] of actions.entries()) {
      if (bytes !== undefined) waiting.set({ pipeline, action: label, index, kind }, bytes)
    }
  }
  const of = { labelNames: ['pipeline'], registers: [registry] }
  const commits = new Counter({ name: 'feedoo_commits_total', help: 'Commits of the pipeline.', ...of })
  const times = {
    bucket: new Counter({
      name: 'feedoo_commit_seconds_bucket',
      help: 'Commits by the seconds they took, from the cut between two batches to the moment that all is safe.',
      labelNames: ['pipeline', 'le'],
      registers: [registry],
    }),
    sum: new Counter({ name: 'feedoo_commit_seconds_sum', help: 'Seconds of all commits.', ...of }),
    count: new Counter({ name: 'feedoo_commit_seconds_count', help: 'Commits measured.', ...of }),
  }
  const restarts = new Counter({
    name: 'feedoo_pipeline_restarts_total',
    help: 'Times that the pipeline failed and was started again.',
    ...of,
  })
  const inFlight = new Gauge({ name: 'feedoo_events_in_flight', help: 'Events that are not safe yet.', ...of })
  const up = new Gauge({
    name: 'feedoo_pipeline_up',
    help: '0 while the pipeline has failed and waits for its restart, and when it has ended with an error; else 1.',
    ...of,
  })
  const age = new Gauge({
    name: 'feedoo_last_commit_age_seconds',
    help: 'Seconds since the last commit, or since the pipeline began; there is none while nothing comes.',
    ...of,
  })
  const waits = new Gauge({
    name: 'feedoo_state_waiting',
    help: '1 while commits wait for a state file, because its disk is full or away, else 0.',
    ...of,
  })
  const heap = new Gauge({
    name: 'feedoo_heap_bytes',
    help: 'Bytes of objects in the heap of the thread of the pipeline, also of those that wait for their collection; without buffers.',
    ...of,
  })
  for (const [pipeline, stats] of Object.entries(pipelines)) {
    if (stats.heap !== undefined) heap.set({ pipeline }, stats.heap)
    if (stats.commit_age !== undefined) age.set({ pipeline }, stats.commit_age)
    waits.set({ pipeline }, stats.trouble === undefined ? 0 : 1)
    setHistogram(times, pipeline, stats.commit_times)
    commits.inc({ pipeline }, stats.commits)
    restarts.inc({ pipeline }, stats.restarts)
    inFlight.set({ pipeline }, stats.in_flight)
    up.set({ pipeline }, stats.up === false ? 0 : 1)
  }
  return `${await registry.metrics()}\n${await processMetrics.metrics()}`
}

interface TimesMetric {
  bucket: Counter
  sum: Counter
  count: Counter
}

/** A histogram whose observations were made in the thread of the pipeline: `prom-client` has none that takes counts. */
function setHistogram(metric: TimesMetric, pipeline: string, { counts, sum: seconds }: CommitTimes): void {
  let total = 0
  for (const [bucket, count] of counts.entries()) {
    total += count
    metric.bucket.inc({ pipeline, le: commitTimeBounds[bucket] ?? '+Inf' }, total)
  }
  metric.sum.inc({ pipeline }, seconds)
  metric.count.inc({ pipeline }, total)
}
