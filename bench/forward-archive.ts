// What a Fluent Bit sends, received over one connection and written as JSON lines.
import type { BenchCase } from './case.ts'

export const forwardArchive: BenchCase = {
  name: 'forward-archive',
  data: 'forward',
  floor: 'forward-archive.mjs',
  fluentBit: 2.0,
  connections: 1,
  limit: { of: 'floor', ratio: 1.2 },
  yaml: (port, output) => `\
pipelines:
  bench:
    - name: input_forward
      host: 127.0.0.1
      port: ${port}
    - name: output_archive
      match: app.*
      path_template: ${output}
`,
}
