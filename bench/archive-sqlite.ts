// A file of JSON lines into a SQLite table.
import type { BenchCase } from './case.ts'

export const archiveSqlite: BenchCase = {
  name: 'archive-sqlite',
  data: 'rows',
  floor: 'archive-sqlite.mjs',
  limit: { of: 'floor', ratio: 1.4 },
  writes: 'sqlite',
  yaml: (input, output) => `\
pipelines:
  bench:
    - name: input_file
      tag: archive
      path_pattern: ${input}
      once: true
    - name: parser_json
      match: archive
      key: log
    - name: output_sqlite
      match: archive
      filename: ${output}
      table: events
      time_key: timestamp
`,
}
