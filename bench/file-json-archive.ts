// An application's JSON lines, parsed and written again as JSON lines.
import type { BenchCase } from './case.ts'

export const fileJsonArchive: BenchCase = {
  name: 'file-json-archive',
  data: 'json',
  floor: 'file-json-archive.mjs',
  fluentBit: 2.9,
  limit: { of: 'floor', ratio: 1.3 },
  yaml: (input, output) => `\
pipelines:
  bench:
    - name: input_file
      tag: app.log
      path_pattern: ${input}
      once: true
    - name: parser_json
      match: app.*
      key: log
    - name: output_archive
      match: app.*
      path_template: ${output}
`,
}
