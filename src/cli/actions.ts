// `feedoo actions [NAME]`: the reference of the actions, in the terminal.

import { nearest } from '../core/config/nearest.ts'
import { stringifyJson } from '../core/json.ts'
import { dnsLines, exampleLine, type Parameter, type Reference, referenceOf } from '../core/reference.ts'
import type { Registry } from '../core/registry.ts'

export type Write = (text: string) => void

/** Columns of a page. */
const width = 100

/**
 * Writes one action's page, or the list of all with their summaries; with `json`, the same as data. Returns the exit
 * code: 0, or 2 for a name that is no action, told through `writeError`.
 */
export function actionsCommand(
  registry: Registry,
  name: string | undefined,
  { json = false }: { json?: boolean },
  write: Write,
  writeError: Write = write,
): number {
  if (name === undefined) {
    const all = registry.all().map(referenceOf)
    write(json ? `${stringifyJson(all)}\n` : listText(all))
    return 0
  }
  const spec = registry.get(name)
  if (spec === undefined) {
    const meant = nearest(name, registry.names())
    const hint = meant === undefined ? '`feedoo actions` lists them all' : `did you mean ${meant}?`
    writeError(`there is no action named ${name}; ${hint}\n`)
    return 2
  }
  const reference = referenceOf(spec)
  write(json ? `${stringifyJson(reference)}\n` : pageText(reference))
  return 0
}

const kinds = ['input', 'parser', 'filter', 'output'] as const

function listText(all: readonly Reference[]): string {
  const column = Math.max(...all.map(({ name }) => name.length)) + 4
  const groups = kinds.flatMap((kind) => {
    const lines = all
      .filter((one) => one.kind === kind)
      .map(({ name, summary }) => hanging(`  ${name.padEnd(column - 2)}`, summary))
    return lines.length === 0 ? [] : [`${kind}\n${lines.join('')}`]
  })
  return `${groups.join('\n')}\n\`feedoo actions NAME\` shows one with its parameters and examples.\n`
}

function pageText({ name, summary, details, parameters, examples }: Reference): string {
  const sections = [
    `${name}\n${wrap(summary, '  ')}`,
    ...(details === undefined ? [] : [indent(details.trim(), '  ')]),
    `Parameters\n${parameters.map(parameterText).join('')}`,
    ...examples.map(exampleText),
  ]
  return sections.join('\n')
}

function parameterText({ name, type, description, required, ...rest }: Parameter): string {
  const standard = rest.default === undefined ? '' : ` (default ${stringifyJson(rest.default)})`
  return `${wrap(`${name}: ${type}${required ? ' (required)' : standard}`, '  ', '    ')}${wrap(description, '      ')}`
}

function exampleText({
  title,
  yaml,
  in: sent = [],
  out,
  files = {},
  dns = {},
  writes = {},
  prints,
}: Reference['examples'][number]) {
  const listed = (heading: string, text: string) => (text === '' ? '' : `  ${heading}:\n${indent(text, '    ')}`)
  const contents = (list: Readonly<Record<string, string>>) =>
    Object.entries(list)
      .map(([path, text]) => `{dir}/${path}\n${indent(text.trimEnd(), '  ')}`)
      .join('')
  return [
    `Example: ${title}\n`,
    indent(yaml.trimEnd(), '    '),
    listed('files', contents(files)),
    listed('dns', dnsLines(dns)),
    listed('in', sent.map(exampleLine).join('\n')),
    listed('out', out.map(exampleLine).join('\n')),
    listed('writes', contents(writes)),
    listed('prints', (prints ?? '').trimEnd()),
  ].join('')
}

/** Text behind a heading; further lines stand under its beginning. */
function hanging(heading: string, text: string): string {
  return wrap(text, heading, ' '.repeat(heading.length))
}

function wrap(text: string, first: string, others = first): string {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(/\s+/)) {
    const before = lines.length === 0 ? first : others
    if (line !== '' && before.length + line.length + 1 + word.length > width) {
      lines.push(before + line)
      line = word
    } else {
      line = line === '' ? word : `${line} ${word}`
    }
  }
  lines.push((lines.length === 0 ? first : others) + line)
  return `${lines.join('\n')}\n`
}

function indent(text: string, by: string): string {
  return text === '' ? '' : `${text.replace(/^(?=.)/gm, by)}\n`
}
