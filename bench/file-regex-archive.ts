// An Apache access log, cut into fields by a regex, into a file of JSON lines.
import type { BenchCase } from './case.ts'

const pattern =
  '(?<host>\\S+) (?<ident>\\S+) (?<user>\\S+) \\[(?<time>[^\\]]+)\\] ' +
  '"(?<method>\\S+) (?<path>\\S+) (?<protocol>[^"]+)" (?<status>\\d{3}) (?<size>\\d+|-) ' +
  '"(?<referer>[^"]*)" "(?<agent>[^"]*)"'

export const fileRegexArchive: BenchCase = {
  name: 'file-regex-archive',
  data: 'apache',
  floor: 'file-regex-archive.mjs',
  fluentBit: 3.2,
  limit: { of: 'floor', ratio: 1.3 },
  yaml: (input, output) => `\
pipelines:
  bench:
    - name: input_file
      tag: web.access
      path_pattern: ${input}
      once: true
    - name: parser_regex
      match: web.*
      key: log
      regex: '${pattern}'
    - name: output_archive
      match: web.*
      path_template: ${output}
`,
}
