// A SQLite table into a file of JSON lines, in order of time.
import type { BenchCase } from './case.ts'

export const sqliteArchive: BenchCase = {
  name: 'sqlite-archive',
  data: 'sqlite',
  floor: 'sqlite-archive.mjs',
  limit: { of: 'floor', ratio: 1.4 },
  yaml: (input, output) => `\
pipelines:
  bench:
    - name: input_sqlite
      tag: old
      filename: ${input}
      once: true
    - name: output_archive
      match: old
      path_template: ${output}
`,
}
