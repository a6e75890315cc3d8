// Plugins are loaded by the built package, in a worker thread, from a folder that has no node_modules.
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { Worker } from 'node:worker_threads'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const dist = new URL('../../dist/', import.meta.url)
const dir = mkdtempSync(join(tmpdir(), 'feedoo-plugins-'))
afterAll(() => rmSync(dir, { recursive: true, force: true }))

/** A spec as plain JavaScript, with some of its lines replaced. */
function plugin(lines: Record<string, string> = {}, wrap = 'defineAction'): string {
  const spec = {
    kind: "'filter'",
    name: "'filter_mine'",
    summary: "'Passes events on.'",
    params: "z.strictObject({ key: z.string().default('a').describe('A field.') })",
    examples: "[{ title: 'Nothing', yaml: '- name: filter_mine', out: [] }]",
    create: '() => ({ apply(event, emit) { emit(event) } })',
    ...lines,
  }
  const body = Object.entries(spec).map(([key, value]) => `${key}: ${value}`)
  return `import { defineAction, z } from 'feedoo'\nexport default ${wrap}({ ${body.join(', ')} })\n`
}

const good: Record<string, string> = {
  'plain.js': plugin(),
  'own-zod-import.mjs': `import { z as other } from 'zod'\n${plugin({ params: 'other.strictObject({})' })}`,
  'twice.js': plugin().replace('export default', 'export const mine =').concat('export default mine\n'),
  'list.js': plugin()
    .replace('export default', 'const mine =')
    .concat('export default [mine]\nexport const version = 1\n'),
  'node_modules/pack/index.mjs': plugin(),
}

const faulty: [file: string, source: string, sentence: string][] = [
  ['syntax.mjs', 'export default {', 'Unexpected end of input'],
  ['missing-import.mjs', "import 'no-such-package'", "Cannot find package 'no-such-package'"],
  ['empty.mjs', 'export {}', 'it exports no action made with defineAction'],
  ['bare.mjs', plugin({}, ''), 'filter_mine: wrap the object in defineAction(...)'],
  ['create.mjs', plugin({ create: 'undefined' }), 'filter_mine: it needs create(params, context)'],
  ['name.mjs', plugin({ name: "'mine'" }), 'mine: the name of a filter must be `filter_` and small letters'],
  ['nameless.mjs', plugin({ name: 'undefined' }), 'an action has no `name`'],
  ['kind.mjs', plugin({ kind: "'sink'" }), '`kind` must be input, parser, filter or output, not "sink"'],
  ['summary.mjs', plugin({ summary: "''" }), 'filter_mine: it needs a `summary`'],
  ['params.mjs', plugin({ params: "{ key: 'text' }" }), 'filter_mine: `params` must be z.strictObject({...})'],
  ['lax.mjs', plugin({ params: 'z.object({})' }), 'make `params` with z.strictObject({...})'],
  ['examples.mjs', plugin({ examples: '[]' }), 'it needs at least one entry in `examples`'],
  [
    'description.mjs',
    plugin({ params: "z.strictObject({ list: z.array(z.strictObject({ key: z.string() })).describe('Fields.') })" }),
    "the parameter `list[].key` needs .describe('...')",
  ],
  [
    'taken.mjs',
    plugin({ name: "'filter_mine'" }).replaceAll('filter_mine', 'input_dummy').replace("'filter'", "'input'"),
    'there is already an action named input_dummy',
  ],
]

describe('loadActions', () => {
  let outcomes: Record<string, string>

  beforeAll(async () => {
    const files: Record<string, string> = {
      ...good,
      ...Object.fromEntries(faulty.map(([file, source]) => [file, source])),
      'typed.ts': plugin({ name: "'filter_mine' as const" }),
    }
    for (const [file, source] of Object.entries(files)) write(file, source)
    // A package with a copy of feedoo of its own gets ours all the same.
    write('node_modules/pack/node_modules/feedoo/package.json', '{"name":"feedoo","exports":"./index.mjs"}')
    write('node_modules/pack/node_modules/feedoo/index.mjs', "throw new Error('another copy')")
    outcomes = await loadInWorker(Object.keys(files))
  })

  it.each(Object.keys(good))('loads %s', (file) => {
    expect(outcomes[file]).toBe('filter_mine')
  })

  it.each(faulty)('refuses %s, naming the file', (file, _, sentence) => {
    expect(outcomes[file]).toContain(`PLUGIN_FAILED cannot load ${join(dir, file)}: `)
    expect(outcomes[file]).toContain(sentence)
  })

  it('loads TypeScript where Node runs it, and says so where not', () => {
    const runsTypeScript = Reflect.get(process.features, 'typescript')
    const refusal = `PLUGIN_FAILED cannot load ${join(dir, 'typed.ts')}: Node ${process.versions.node} does not run TypeScript`
    expect(outcomes['typed.ts']).toContain(runsTypeScript ? 'filter_mine' : refusal)
  })
})

describe('the public entry', () => {
  it('gives a plugin in TypeScript its types: parameters, events and the three contracts', () => {
    write('types/mine.ts', typedPlugin('z.int().default(3)'))
    expect(typeErrors('types')).toBe('')
  })

  it('infers the parameters from the spec, so that a slip is an error', () => {
    write('slip/mine.ts', typedPlugin("z.string().default('3')"))
    expect(typeErrors('slip')).toContain("Type 'string' is not assignable to type 'number'")
  })
})

function write(file: string, text: string): void {
  mkdirSync(dirname(join(dir, file)), { recursive: true })
  writeFileSync(join(dir, file), text)
}

/** What became of each plugin, loaded after the built-in actions: the names it added, or the error. */
async function loadInWorker(files: readonly string[]): Promise<Record<string, string>> {
  const source = `
    import { parentPort, workerData } from 'node:worker_threads'
    import { loadActions } from '${new URL('core/registry.js', dist)}'
    const builtin = '${new URL('actions/index.js', dist)}'
    const known = (await loadActions([builtin])).names()
    const outcomes = {}
    for (const [file, url] of workerData) {
      outcomes[file] = await loadActions([builtin, url]).then(
        (registry) => registry.names().filter((name) => !known.includes(name)).join(),
        (error) => error.code + ' ' + error.message,
      )
    }
    parentPort.postMessage(outcomes)`
  write('worker.mjs', source)
  const workerData = files.map((file) => [file, pathToFileURL(join(dir, file)).href])
  const worker = new Worker(join(dir, 'worker.mjs'), { workerData, execArgv: [] })
  try {
    return await new Promise((resolve, reject) => worker.on('message', resolve).on('error', reject))
  } finally {
    await worker.terminate()
  }
}

function typedPlugin(count: string): string {
  return `
    import { compileField, defineAction, type Event, type Filter, FeedooError, fieldParam, type Input, matchParam,
      messageOf, type Output, outputParams, tagParam, z } from 'feedoo'
    const examples = [{ title: 'Nothing', yaml: '', out: [] }] as const
    export const filterMine = defineAction({
      kind: 'filter', name: 'filter_mine', summary: 'Counts.', examples,
      params: z.strictObject({ match: matchParam, key: fieldParam.describe('A field.'), count: ${count} }),
      create({ key, count }, { clock, countError, deadLetter }): Filter {
        const field = compileField(key)
        const more: number = count
        return { apply(event: Event, emit) { if (field.set(event.record, more + clock.now())) emit(event) } }
      },
    })
    export const inputMine = defineAction({
      kind: 'input', name: 'input_mine', summary: 'Sends.', examples,
      params: z.strictObject({ tag: tagParam.describe('A tag.') }),
      create: ({ tag }, { clock }): Input => ({
        async run({ emit, signal }) {
          while (!signal.aborted) await emit([{ tag, timestamp: clock.now(), record: {} }], { at: 1 })
        },
      }),
    })
    export const outputMine = defineAction({
      kind: 'output', name: 'output_mine', summary: 'Takes.', examples,
      params: z.strictObject({ ...outputParams, url: z.url().describe('Where to.') }),
      create: ({ url }): Output => ({
        async write(events) {
          throw new FeedooError('OUTPUT_UNAVAILABLE', url + messageOf(events.length), { retriable: true })
        },
      }),
    })`
}

/** What the compiler says of the files in a folder that sees nothing but our package. */
function typeErrors(folder: string): string {
  const paths = { feedoo: [fileURLToPath(new URL('index.d.ts', dist))] }
  const compilerOptions = {
    module: 'nodenext',
    target: 'es2023',
    lib: ['es2023'],
    types: [],
    strict: true,
    noEmit: true,
  }
  write(`${folder}/tsconfig.json`, JSON.stringify({ compilerOptions: { ...compilerOptions, paths } }))
  const compiler = fileURLToPath(new URL('../../node_modules/typescript/bin/tsc', import.meta.url))
  try {
    return execFileSync(process.execPath, [compiler, '-p', join(dir, folder)], { encoding: 'utf8' })
  } catch (error) {
    return error instanceof Error && 'stdout' in error ? String(error.stdout) : String(error)
  }
}
