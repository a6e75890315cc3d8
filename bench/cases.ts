// Every case, in the order of the table.

import type { BenchCase } from './case.ts'
import { fileArchive } from './file-archive.ts'
import { fileJsonArchive } from './file-json-archive.ts'
import { fileJsonArchive20Actions } from './file-json-archive-20-actions.ts'
import { fileRegexArchive } from './file-regex-archive.ts'
import { forward200Connections } from './forward-200-connections.ts'
import { forwardArchive } from './forward-archive.ts'
import { forwardNothing } from './forward-nothing.ts'
import { matchingList10, matchingList100k, matchingList1000 } from './matching-list.ts'
import { rules } from './rules.ts'

export const cases: readonly BenchCase[] = [
  fileRegexArchive,
  fileJsonArchive,
  fileJsonArchive20Actions,
  forwardArchive,
  forward200Connections,
  forwardNothing,
  ...rules,
  fileArchive,
  matchingList10,
  matchingList1000,
  matchingList100k,
]
