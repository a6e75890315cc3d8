import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it, onTestFinished } from 'vitest'
import { actions } from '../../src/actions/index.ts'
import type { Example } from '../../src/core/action.ts'
import { loadConfig } from '../../src/core/config/load.ts'
import { parametersOf } from '../../src/core/reference.ts'
import { Registry } from '../../src/core/registry.ts'
import { specMistake } from '../../src/core/spec-check.ts'
import { runExample } from '../../src/testing.ts'

describe('the list of actions', () => {
  it('names each action once', () => {
    const names = actions.map(({ name }) => name)
    expect(names).toEqual([...new Set(names)])
  })
})

describe.each(actions.map((spec) => ({ name: spec.name, spec })))('$name', ({ spec }) => {
  it('passes the check that plugins have to pass', () => {
    expect(specMistake(spec)).toBeUndefined()
  })

  it('says what it does in one sentence', () => {
    expect(spec.summary).toMatch(/^[A-Z`].*[^.]\.$/s)
    expect(spec.summary).not.toContain('\n')
  })

  it('describes every parameter in sentences', () => {
    const bare = parametersOf(spec.params).filter(({ description }) => !/^[A-Z`].*\.$/s.test(description))
    expect(bare.map(({ name }) => name)).toEqual([])
  })

  it('shows itself in each example', () => {
    for (const { yaml } of spec.examples) expect(yaml).toContain(`name: ${spec.name}`)
  })

  it.each(spec.examples.map((example) => ({ title: example.title, example })))(
    'does what the example says: $title',
    async ({ example }) => {
      const { yaml, out, files = {}, writes, prints } = example
      expect(await mistakesIn(yaml, files)).toEqual([])
      if (prints !== undefined || yaml.includes('name: output_stdout')) {
        const child = await print(example)
        expect(child.stdout).toBe(prints)
        expect(JSON.parse(child.stderr)).toEqual(out)
        return
      }
      const run = await runExample(example, actions)
      expect(run.out).toEqual(out)
      if (writes !== undefined) expect(run.files).toEqual({ ...files, ...writes })
    },
  )
})

/** What `feedoo check` says of a list of actions, apart from warnings. */
async function mistakesIn(yaml: string, files: Readonly<Record<string, string>>): Promise<string[]> {
  const folder = mkdtempSync(join(tmpdir(), 'feedoo-specs-'))
  const file = join(folder, 'example.yaml')
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    writeFileSync(join(folder, path), text)
  }
  // A pipeline needs an input; the events of an example come from nowhere.
  const input = /name: input_/.test(yaml) ? '' : '- { name: input_dummy, tag: example }\n'
  writeFileSync(file, input + yaml.replaceAll('{dir}', folder))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const { diagnostics } = await loadConfig(file, { env: {}, loadRegistry: async () => new Registry(actions) })
  return diagnostics.filter(({ severity }) => severity === 'error').map(({ message }) => message)
}

/** Runs an example in a process of its own: output_stdout writes to the descriptor, past anything that could be caught. */
function print(example: Example): Promise<{ stdout: string; stderr: string }> {
  const script = fileURLToPath(new URL('../helpers/print-example.ts', import.meta.url))
  return new Promise((resolve, reject) => {
    const child = execFile(process.execPath, ['--import', 'tsx', script], (error, stdout, stderr) =>
      error === null ? resolve({ stdout, stderr }) : reject(new Error(stderr, { cause: error })),
    )
    child.stdin?.end(JSON.stringify(example))
  })
}
