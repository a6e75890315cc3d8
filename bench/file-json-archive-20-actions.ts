// As file-json-archive, in a pipeline of twenty actions of which three take the events: what an action costs that does not.
import type { BenchCase } from './case.ts'
import { fileJsonArchive } from './file-json-archive.ts'

export const fileJsonArchive20Actions: BenchCase = {
  name: 'file-json-archive-20-actions',
  data: 'json',
  floor: fileJsonArchive.floor,
  fluentBit: fileJsonArchive.fluentBit,
  limit: { of: fileJsonArchive.name, ratio: 1.1 },
  yaml: (input, output) => `\
pipelines:
  bench:
    - name: input_file
      tag: app.log
      path_pattern: ${input}
      once: true
${idle(6)}\
    - name: parser_json
      match: app.*
      key: log
${idle(6)}\
    - name: filter_retag
      match: app.*
      tag: stored.log
${idle(5)}\
    - name: output_archive
      match: stored.*
      path_template: ${output}
`,
}

/** Actions that take none of the events; every second one is found by a glob. */
function idle(count: number): string {
  let yaml = ''
  for (let i = 0; i < count; i++) {
    const match = i % 2 === 0 ? '"*.other[0-9]?"' : `other.${i}`
    yaml += `    - name: filter_remove_keys\n      match: ${match}\n      keys: [password, token]\n`
  }
  return yaml
}
