// A SQLite table into another file, in order of time.
import type { BenchCase } from './case.ts'

export const sqliteSqlite: BenchCase = {
  name: 'sqlite-sqlite',
  data: 'sqlite',
  floor: 'sqlite-sqlite.mjs',
  limit: { of: 'floor', ratio: 1.4 },
  writes: 'sqlite',
  yaml: (input, output) => `\
pipelines:
  bench:
    - name: input_sqlite
      tag: old
      filename: ${input}
      once: true
    - name: output_sqlite
      match: old
      filename: ${output}
      table: events
`,
}
