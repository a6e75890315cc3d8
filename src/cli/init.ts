// `feedoo init [DIR]`: a commented starter configuration, and the schema that editors complete it from.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { messageOf, systemCode } from '../core/errors.ts'
import { fileReason } from '../core/file-reason.ts'
import { makeFolders } from '../core/make-folders.ts'
import type { Registry } from '../core/registry.ts'
import type { Write } from './actions.ts'
import { schemaText } from './schema.ts'

/**
 * Writes `default.yaml` and `feedoo.schema.json` into a folder, which is made when missing. Returns the exit code: 0, or
 * 2 when it cannot write or would overwrite the configuration, told through `writeError`.
 */
export function initCommand(directory: string, registry: Registry, write: Write, writeError: Write = write): number {
  const config = join(directory, 'default.yaml')
  const schema = join(directory, 'feedoo.schema.json')
  try {
    makeFolders(directory)
  } catch (error) {
    writeError(`cannot make the folder ${directory}: ${folderReason(error)}; nothing was written\n`)
    return 2
  }
  try {
    writeFileSync(config, starter, { flag: 'wx' })
    // Nobody edits the schema: it is renewed with the version of feedoo.
    writeFileSync(schema, schemaText(registry))
  } catch (error) {
    const exists = systemCode(error) === 'EEXIST'
    writeError(exists ? `${config} is there already; nothing was written\n` : `cannot write: ${messageOf(error)}\n`)
    return 2
  }
  write(`Wrote ${config} and ${schema}.\nTry it:\n  feedoo check -c ${config}\n  feedoo run -c ${config}\n`)
  return 0
}

function folderReason(error: unknown): string {
  switch (systemCode(error)) {
    case 'ENOTDIR':
      return 'a file stands in its place, or in that of a folder above it'
    case 'ENOENT':
      return 'the system makes no folders there'
    default:
      return fileReason(error, 'folder')
  }
}

const starter = `# yaml-language-server: $schema=./feedoo.schema.json
# \`feedoo check -c FILE\` points at mistakes, \`feedoo run -c FILE\` runs it, \`feedoo actions\` lists what can stand in a pipeline.

# {logs} in any text below becomes this value. \${NAME} and \${NAME:-default} come from the environment.
variables:
  logs: /var/log

# Every pipeline is a list of actions, run from top to bottom, apart from the other pipelines. An event carries a tag
# and a record; an action takes the events whose tag its \`match\` takes, and lets the others pass.
pipelines:
  hello:
    - name: input_dummy
      tag: hello
      data:
        message: feedoo works
    - name: output_stdout
      match: hello

  # The package log of a Debian machine: one archive file a day, kept up to date. To use it, take away the "# ".
  # dpkg:
  #   - name: input_file
  #     tag: dpkg
  #     path_pattern: "{logs}/dpkg.log"
  #   - name: parser_regex
  #     match: dpkg
  #     regex: '(?P<date>\\S+ \\S+) (?P<action>\\S+) (?P<details>.*)'
  #   - name: filter_date
  #     match: dpkg
  #     timestamp: true
  #   - name: output_archive
  #     match: dpkg
  #     path_template: ./archive/dpkg-%Y-%m-%d.log

# The counters of every action, at http://127.0.0.1:4321/ (and /metrics, /health).
# states:
#   ip: 127.0.0.1
#   port: 4321

# What an action could not handle, one JSON object a line.
# dead_letters: ./dead-letters.log
`
