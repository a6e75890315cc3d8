// What a Fluent Bit sends, received and only counted: input_forward and the engine alone.
import type { BenchCase } from './case.ts'

export const forwardNothing: BenchCase = {
  name: 'forward-nothing',
  data: 'forward',
  floor: 'forward-nothing.mjs',
  connections: 1,
  writesNothing: true,
  limit: { of: 'floor', ratio: 1.2 },
  yaml: (port) => `\
pipelines:
  bench:
    - name: input_forward
      host: 127.0.0.1
      port: ${port}
`,
}
