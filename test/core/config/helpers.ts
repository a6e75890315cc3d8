// What the tests of the configuration share: loading with the real actions, from files or from text.
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { actions } from '../../../src/actions/index.ts'
import type { ActionSpec } from '../../../src/core/action.ts'
import { formatDiagnostic } from '../../../src/core/config/diagnostic.ts'
import { type LoadedConfig, loadConfig } from '../../../src/core/config/load.ts'
import { loadActions, Registry } from '../../../src/core/registry.ts'

export const fixtures = path.join(import.meta.dirname, '../../fixtures/config')

/** The environment that the fixtures are written for. */
export const fixtureEnv = {
  WORD: 'often',
  OCTAL: '012',
  PORT: '8080',
  TOKEN: '123456',
  REPEAT: '3',
  FORMAT: 'json',
}

const builtIn = new URL('../../../src/actions/index.ts', import.meta.url).href

export function loadFile(file: string, env: Record<string, string> = fixtureEnv): Promise<LoadedConfig> {
  return loadConfig(file, { env, loadRegistry: (plugins) => loadActions([builtIn, ...plugins]) })
}

export interface TextOptions {
  env?: Record<string, string>
  extra?: readonly ActionSpec[]
  /** More files beside the configuration. */
  files?: Record<string, string>
}

/** Loads a text as `feedoo.yaml` in a folder of its own; paths in what comes back are relative to that. */
export async function loadText(text: string, options: TextOptions = {}): Promise<LoadedConfig> {
  const { env = {}, extra = [], files = {} } = options
  const folder = await mkdtemp(path.join(tmpdir(), 'feedoo-config-'))
  try {
    for (const [name, content] of Object.entries({ ...files, 'feedoo.yaml': text })) {
      await writeFile(path.join(folder, name), content)
    }
    const registry = new Registry([...actions, ...extra])
    const loaded = await loadConfig(path.join(folder, 'feedoo.yaml'), { env, loadRegistry: async () => registry })
    const diagnostics = loaded.diagnostics.map((one) => ({ ...one, file: path.relative(folder, one.file) }))
    return { ...loaded, diagnostics }
  } finally {
    await rm(folder, { recursive: true })
  }
}

/** `line:column severity message | hint` of each diagnostic. */
export function shown({ diagnostics }: LoadedConfig): string[] {
  return diagnostics.map(({ file, line, column, severity, message, hint }) => {
    const where = file === 'feedoo.yaml' ? '' : `${file}:`
    return `${where}${line}:${column} ${severity} ${message}${hint === undefined ? '' : ` | ${hint}`}`
  })
}

/** The parameters of each action of the first pipeline. Throws with the diagnostics when there are errors. */
export function paramsOf(loaded: LoadedConfig): Record<string, unknown>[] {
  if (loaded.config === undefined) throw new Error(loaded.diagnostics.map((one) => formatDiagnostic(one)).join('\n'))
  return (loaded.config.pipelines[0]?.actions ?? []).map(({ params }) => params)
}

/** A pipeline of one dummy input with more of its parameters, indented by six. */
export function dummy(lines: string, top = ''): string {
  return `${top}pipelines:\n  web:\n    - name: input_dummy\n      tag: web.a\n${lines}    - name: output_stdout\n`
}
