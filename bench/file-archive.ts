// Lines of 130 characters, as they are, into a file of JSON lines: the plain pipeline that rules are added to.
import type { BenchCase } from './case.ts'

export const fileArchive: BenchCase = {
  name: 'file-archive',
  data: 'words',
  floor: 'file-archive.mjs',
  limit: { of: 'floor', ratio: 2.2 },
  yaml: (input, output) => pipelineWith('', input, output),
}

/** The pipeline, with further actions between its input and its output. */
export function pipelineWith(actions: string, input: string, output: string): string {
  return `\
pipelines:
  bench:
    - name: input_file
      tag: log
      path_pattern: ${input}
      once: true
${actions}\
    - name: output_archive
      match: log
      path_template: ${output}
`
}
