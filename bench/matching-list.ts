// The plain pipeline with filter_matching_list in it; up to one line in twenty gives an alert, which no output takes.
import type { BenchCase } from './case.ts'
import { wordsFile } from './data.ts'
import { fileArchive, pipelineWith } from './file-archive.ts'

export const matchingList10 = withList('10', 10, 2)
export const matchingList1000 = withList('1000', 1000, 2)
/** 250,000 lines a CPU second. */
export const matchingList100k = withList('100k', 100_000, 4)

function withList(name: string, words: number, adds: number): BenchCase {
  return {
    name: `matching-list-${name}`,
    data: 'words',
    floor: fileArchive.floor,
    limit: { of: fileArchive.name, adds },
    yaml: (input, output) =>
      pipelineWith(
        `    - { name: filter_matching_list, tag: alert, key: log, list_file: ${wordsFile(words)} }\n`,
        input,
        output,
      ),
  }
}
