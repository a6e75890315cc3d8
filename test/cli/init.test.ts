import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { expect, it, onTestFinished } from 'vitest'
import { parse } from 'yaml'
import { actions } from '../../src/actions/index.ts'
import { initCommand } from '../../src/cli/init.ts'
import { schemaCommand } from '../../src/cli/schema.ts'
import { loadConfig } from '../../src/core/config/load.ts'
import { Registry } from '../../src/core/registry.ts'

const registry = new Registry(actions)

function scratch(): string {
  const folder = mkdtempSync(join(tmpdir(), 'feedoo-init-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

function init(folder: string): { code: number; said: string } {
  let said = ''
  const code = initCommand(folder, registry, (text) => {
    said += text
  })
  return { code, said }
}

/** What `feedoo check` says of a file. */
async function diagnostics(file: string): Promise<string[]> {
  const loaded = await loadConfig(file, { env: {}, loadRegistry: async () => registry })
  return loaded.diagnostics.map(({ message }) => message)
}

it('writes a configuration that has no mistakes, and the schema it names', async () => {
  const folder = join(scratch(), 'new')
  const { code, said } = init(folder)
  expect(code).toBe(0)
  expect(said).toContain(`feedoo run -c ${join(folder, 'default.yaml')}`)
  expect(await diagnostics(join(folder, 'default.yaml'))).toEqual([])

  const text = readFileSync(join(folder, 'default.yaml'), 'utf8')
  const schemaName = /^# yaml-language-server: \$schema=(\S+)$/m.exec(text)?.[1] ?? ''
  const schema: unknown = JSON.parse(readFileSync(join(folder, schemaName), 'utf8'))
  const validate = new Ajv2020({ strict: false, validateFormats: false }).compile(Object(schema))
  expect(validate(parse(text)), JSON.stringify(validate.errors)).toBe(true)
})

it('writes only such comments as are right once the mark is taken away', async () => {
  const folder = scratch()
  init(folder)
  const file = join(folder, 'default.yaml')
  const text = readFileSync(file, 'utf8')
  // What is commented out is YAML, in which every line has a key; the other comments are sentences.
  const uncommented = text.replace(/^( *)# (?=( *- )? *[a-z_]+:( |$))/gm, '$1').replace('/var/log', folder)
  writeFileSync(join(folder, 'dpkg.log'), '')
  expect(uncommented).not.toBe(text)
  writeFileSync(file, uncommented)
  expect(Object.keys(Object(parse(uncommented)))).toEqual(['variables', 'pipelines', 'states', 'dead_letters'])
  expect(Object.keys(Object(parse(uncommented).pipelines))).toEqual(['hello', 'dpkg'])
  expect(await diagnostics(file)).toEqual([])
})

it('overwrites no configuration', () => {
  const folder = scratch()
  writeFileSync(join(folder, 'default.yaml'), 'mine')
  const file = join(folder, 'default.yaml')
  expect(init(folder)).toEqual({ code: 2, said: `${file} is there already; nothing was written\n` })
  expect(readFileSync(file, 'utf8')).toBe('mine')
})

it('says why when it cannot write', () => {
  const folder = scratch()
  writeFileSync(join(folder, 'file'), '')
  for (const place of [join(folder, 'file'), join(folder, 'file', 'below')]) {
    const { code, said } = init(place)
    expect(code).toBe(2)
    expect(said).toBe(
      `cannot make the folder ${place}: a file stands in its place, or in that of a folder above it; nothing was written\n`,
    )
  }
})

it('prints the same schema', () => {
  const folder = scratch()
  init(folder)
  let printed = ''
  const code = schemaCommand(registry, (text) => {
    printed += text
  })
  expect(code).toBe(0)
  expect(printed).toBe(readFileSync(join(folder, 'feedoo.schema.json'), 'utf8'))
})
