// Runs filter_dnsbl in a real pipeline, batch by batch.

import { filterDnsbl } from '../../src/actions/filter/filter_dnsbl.ts'
import { actions } from '../../src/actions/index.ts'
import type { Event } from '../../src/core/event.ts'
import type { Pipeline, PipelineOptions } from '../../src/core/pipeline.ts'
import { recordingLog } from './recording-log.ts'
import { type ActionMap, makePipeline } from './run-pipeline.ts'

export interface DnsblRun {
  pipeline: Pipeline
  /** What came out, so far. */
  out: Event[]
  /** Log lines of warnings and information. */
  lines: Record<string, unknown>[]
  /** Sends one event for each address, as one batch, and waits until they are through. Returns the alerts. */
  batch(...addresses: unknown[]): Promise<Event[]>
  counters(): Record<string, number>
  /** Drains and closes the pipeline. */
  end(): Promise<void>
}

export async function runDnsbl(
  params: Record<string, unknown>,
  options: Partial<PipelineOptions> & { behind?: ActionMap[] } = {},
): Promise<DnsblRun> {
  const { behind = [], ...rest } = options
  const { lines, log } = recordingLog()
  const list = [{ name: 'filter_dnsbl', match: 'web', tag: 'alert', key: 'ip', ...params }, ...behind]
  const extra = actions.some(({ name }) => name === filterDnsbl.name) ? [] : [filterDnsbl]
  const { pipeline, out } = makePipeline(list, { extra, log, ...rest })
  await pipeline.open()
  let sent = 0
  return {
    pipeline,
    out,
    lines,
    async batch(...addresses) {
      const before = out.length
      await pipeline.inject(addresses.map((ip) => ({ tag: 'web', timestamp: ++sent, record: { ip } })))
      return out.slice(before).filter(({ tag }) => tag === 'alert')
    },
    counters: () => pipeline.stats().actions[0]?.counters ?? {},
    end: () => pipeline.run(AbortSignal.abort()),
  }
}
