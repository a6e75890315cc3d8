// The pages of docs/reference as Markdown, from the specs that the code itself runs on.
import type { z } from 'zod'
import type { ActionSpec } from '../src/core/action.ts'
import { stringifyJson } from '../src/core/json.ts'
import {
  dnsLines,
  exampleLine,
  type Parameter,
  parametersOf,
  type Reference,
  referenceOf,
} from '../src/core/reference.ts'

export interface Sources {
  actions: readonly ActionSpec[]
  /** The keys at the top of the YAML. */
  topLevel: z.ZodType
  /** The keys of every action. */
  actionKeys: z.ZodType
  /** Error codes and what they mean. */
  errorCodes: Readonly<Record<string, string>>
}

const generated = '<!-- Written by `npm run docs` from the specs in src/. Do not edit. -->'

const kinds = {
  input: 'Inputs: where events come from',
  parser: 'Parsers: from text to fields',
  filter: 'Filters: change, drop, and watch events',
  output: 'Outputs: where events go',
} as const

/** All pages, by their file name. */
export function referencePages({ actions, topLevel, actionKeys, errorCodes }: Sources): Map<string, string> {
  const references = actions.map(referenceOf)
  const pages: [string, string[]][] = [
    ['README.md', indexPage(references)],
    ['configuration.md', configurationPage(topLevel, actionKeys)],
    ['errors.md', errorsPage(errorCodes)],
    ...references.map((one): [string, string[]] => [`${one.name}.md`, actionPage(one)]),
  ]
  return new Map(pages.map(([name, blocks]) => [name, `${[generated, ...blocks].join('\n\n')}\n`]))
}

function indexPage(references: readonly Reference[]): string[] {
  const groups = Object.entries(kinds).flatMap(([kind, title]) => {
    const lines = references
      .filter((one) => one.kind === kind)
      .map(({ name, summary }) => `- [${name}](${name}.md): ${summary}`)
    return lines.length === 0 ? [] : [`## ${title}`, lines.join('\n')]
  })
  return [
    '# Reference',
    '- [configuration](configuration.md): the keys at the top of the YAML\n- [errors](errors.md): what each error code means',
    ...groups,
  ]
}

function actionPage({ name, summary, details, parameters, examples }: Reference): string[] {
  return [
    `# ${name}`,
    summary,
    ...(details === undefined ? [] : [details.trim()]),
    '## Parameters',
    parameterTable(parameters),
    '## Examples',
    ...examples.flatMap(exampleBlocks),
  ]
}

function configurationPage(topLevel: z.ZodType, actionKeys: z.ZodType): string[] {
  return [
    '# Configuration',
    'The keys at the top of the YAML file. `feedoo schema` prints all of this, and every action, as a JSON Schema for editors.',
    parameterTable(parametersOf(topLevel)),
    '## Every action',
    'An action of a pipeline is a map. Its own parameters, which its page lists, stand beside these:',
    parameterTable(parametersOf(actionKeys)),
  ]
}

function errorsPage(errorCodes: Readonly<Record<string, string>>): string[] {
  const rows = Object.entries(errorCodes).map(([code, meaning]) => `| \`${code}\` | ${cell(meaning)} |`)
  return [
    '# Errors',
    'The `code` that logs and dead letters carry. A code never changes its meaning.',
    ['| Code | Meaning |', '|---|---|', ...rows].join('\n'),
  ]
}

function parameterTable(parameters: readonly Parameter[]): string {
  const rows = parameters.map(({ name, type, description, required, ...rest }) => {
    const standard = rest.default === undefined ? '' : `\`${stringifyJson(rest.default)}\``
    return `| \`${name}\` | ${cell(type)} | ${required ? 'required' : cell(standard)} | ${cell(description)} |`
  })
  return ['| Parameter | Type | Default | Meaning |', '|---|---|---|---|', ...rows].join('\n')
}

function exampleBlocks({
  title,
  yaml,
  in: sent,
  out,
  files = {},
  dns = {},
  writes = {},
  prints,
}: Reference['examples'][number]) {
  const events = (heading: string, list: Reference['examples'][number]['out'] = []) =>
    list.length === 0 ? [] : [heading, fence(list.map(exampleLine).join('\n'))]
  const contents = (verb: string, list: Readonly<Record<string, string>>) =>
    Object.entries(list).flatMap(([path, text]) => [`The file \`{dir}/${path}\` ${verb}:`, fence(text)])
  return [
    `### ${title}`,
    fence(yaml, 'yaml'),
    ...contents('holds', files),
    ...(Object.keys(dns).length === 0 ? [] : ['The DNS says:', fence(dnsLines(dns))]),
    ...events('In:', sent),
    ...events('Out:', out),
    ...contents('then holds', writes),
    ...(prints === undefined ? [] : ['Printed:', fence(prints)]),
  ]
}

/** A fence longer than any in the text. */
function fence(text: string, language = 'text'): string {
  const longest = Math.max(2, ...Array.from(text.matchAll(/`+/g), ([run]) => run.length))
  const mark = '`'.repeat(longest + 1)
  return `${mark}${language}\n${text.trimEnd()}\n${mark}`
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replace(/\s*\n\s*/g, ' ')
}
