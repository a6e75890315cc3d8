// As forward-archive, with the same events from 200 senders at once: what a connection costs.
import type { BenchCase } from './case.ts'
import { forwardArchive } from './forward-archive.ts'

const connections = 200

export const forward200Connections: BenchCase = {
  name: 'forward-200-connections',
  data: 'forward',
  floor: forwardArchive.floor,
  connections,
  // Of each one the larger part of a request waits for its end: some 460 KB.
  memoryLimitMB: 400,
  limit: { of: forwardArchive.name, ratio: 1.3 },
  yaml: (port, output) => `\
pipelines:
  bench:
    - name: input_forward
      host: 127.0.0.1
      port: ${port}
      max_connections_per_address: ${connections}
    - name: output_archive
      match: app.*
      path_template: ${output}
`,
}
