// Every built-in action, in the order of the reference. The only place that names them all.
import { filterChange } from './filter/filter_change.ts'
import { filterDate } from './filter/filter_date.ts'
import { filterDnsbl } from './filter/filter_dnsbl.ts'
import { filterFlatline } from './filter/filter_flatline.ts'
import { filterFrequency } from './filter/filter_frequency.ts'
import { filterMatchingList } from './filter/filter_matching_list.ts'
import { filterRemoveKeys } from './filter/filter_remove_keys.ts'
import { filterRename } from './filter/filter_rename.ts'
import { filterRetag } from './filter/filter_retag.ts'
import { filterSpike } from './filter/filter_spike.ts'
import { inputDummy } from './input/input_dummy.ts'
import { inputFile } from './input/input_file.ts'
import { inputForward } from './input/input_forward.ts'
import { inputRethinkdb } from './input/input_rethinkdb.ts'
import { inputSqlite } from './input/input_sqlite.ts'
import { outputArchive } from './output/output_archive.ts'
import { outputForward } from './output/output_forward.ts'
import { outputRethinkdb } from './output/output_rethinkdb.ts'
import { outputSqlite } from './output/output_sqlite.ts'
import { outputStdout } from './output/output_stdout.ts'
import { parserJson } from './parser/parser_json.ts'
import { parserRegex } from './parser/parser_regex.ts'

export const actions = [
  inputDummy,
  inputFile,
  inputForward,
  inputSqlite,
  inputRethinkdb,
  parserJson,
  parserRegex,
  filterRename,
  filterRemoveKeys,
  filterRetag,
  filterDate,
  filterDnsbl,
  filterChange,
  filterFrequency,
  filterSpike,
  filterFlatline,
  filterMatchingList,
  outputStdout,
  outputArchive,
  outputSqlite,
  outputRethinkdb,
  outputForward,
] as const
