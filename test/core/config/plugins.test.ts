import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { actions } from '../../../src/actions/index.ts'
import { loadConfig } from '../../../src/core/config/load.ts'
import { Registry } from '../../../src/core/registry.ts'
import { dummy } from './helpers.ts'

let folder = ''

const packages: Record<string, { manifest: object; entry: string }> = {
  'import-only': { manifest: { exports: { '.': { types: './x.d.ts', import: './esm.js' } } }, entry: 'esm.js' },
  both: { manifest: { exports: { require: './main.cjs', import: './esm.mjs' } }, entry: 'esm.mjs' },
  nested: { manifest: { exports: { '.': { node: { default: './node.js' }, default: './web.js' } } }, entry: 'node.js' },
  plain: { manifest: { main: './lib.js' }, entry: 'lib.js' },
  bare: { manifest: {}, entry: 'index.js' },
  '@scope/name': { manifest: { exports: './a.js' }, entry: 'a.js' },
}

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'feedoo-plugins-'))
  await writeFile(path.join(folder, 'mine.js'), '')
  await mkdir(path.join(folder, 'sub'))
  for (const [name, { manifest, entry }] of Object.entries(packages)) {
    const root = path.join(folder, 'node_modules', name)
    await mkdir(root, { recursive: true })
    await writeFile(path.join(root, 'package.json'), JSON.stringify({ name, ...manifest }))
    await writeFile(path.join(root, entry), '')
  }
})

afterAll(() => rm(folder, { recursive: true }))

/** The modules that a configuration in `sub/` asks for, as paths below the folder; and what is wrong. */
async function ask(plugins: string) {
  const file = path.join(folder, 'sub/feedoo.yaml')
  await writeFile(file, dummy('', `plugins: ${plugins}\n`))
  const { config, diagnostics } = await loadConfig(file, { env: {}, loadRegistry: async () => new Registry(actions) })
  return {
    files: config?.plugins.map((url) => path.relative(folder, fileURLToPath(url))),
    mistakes: diagnostics.map(({ line, column, message }) => `${line}:${column} ${message}`),
  }
}

describe('a plugin', () => {
  test('that is a file is found relative to the configuration', async () => {
    expect(await ask('[../mine.js]')).toEqual({ files: ['mine.js'], mistakes: [] })
  })

  test('that is named twice is loaded once', async () => {
    expect(await ask('[../mine.js, ./../mine.js]')).toEqual({ files: ['mine.js'], mistakes: [] })
  })

  test.each(Object.keys(packages))('that is a package is found as import would find it: %s', async (name) => {
    const expected = path.join('node_modules', name, packages[name]?.entry ?? '')
    expect(await ask(`["${name}"]`)).toEqual({ files: [expected], mistakes: [] })
  })

  test('that is nowhere is reported at its item, with all others', async () => {
    const { files, mistakes } = await ask('[./x.js, nowhere]')
    expect(files).toBeUndefined()
    expect(mistakes).toEqual([
      `1:11 plugin "./x.js": there is no file ${folder}/sub/x.js`,
      expect.stringContaining('1:19 plugin "nowhere": no package of this name is installed'),
    ])
  })
})
