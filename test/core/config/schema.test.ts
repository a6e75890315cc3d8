import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { actions } from '../../../src/actions/index.ts'
import { configSchema } from '../../../src/core/config/schema.ts'
import { Registry } from '../../../src/core/registry.ts'
import { fixtures, loadFile } from './helpers.ts'

const schema = configSchema(new Registry(actions))
// Formats only annotate in draft 2020-12; types may be unions, as in the specs.
const ajv = new Ajv2020({ strict: true, allowUnionTypes: true, validateFormats: false, allErrors: true })
const validate = ajv.compile(schema)

const valid = ['everything.yaml', 'list.yaml', 'typed-names.yaml', 'legacy-numbers.yaml', 'parts/db.yaml']
const broken = readdirSync(path.join(fixtures, 'broken')).filter((file) => /^\d.*\.yaml$/.test(file))

/** Mistakes that a schema cannot see, by the names of the fixtures without their numbers. */
const unseen = new Set([
  // What is no YAML is nothing to a schema.
  ...['alias-bomb', 'undefined-alias', 'alias-inside-itself', 'merge-of-text', 'bad-indentation', 'key-too-deep'],
  ...['tab', 'unclosed-quote', 'unclosed-bracket', 'two-documents', 'bad-escape', 'unknown-tag'],
  ...['star-without-quotes', 'env-in-braces', 'list-then-map', 'deep', 'duplicate-key', 'duplicate-pipeline'],
  // The inside of a text.
  ...['bad-regex', 'bad-regex-plain', 'bad-regex-double-quoted', 'bad-regex-block', 'bad-regex-folded'],
  ...[
    'regex-without-group',
    'bad-glob',
    'bad-glob-in-list',
    'strftime',
    'archive-strftime',
    'include-bad-glob',
    'path-glob',
    'glob-behind-wide-characters',
    'timezone',
  ],
  // Other files, modules and the environment.
  ...['include-matches-nothing', 'include-of-folder', 'include-of-broken-file', 'include-of-map'],
  ...['include-same-name', 'plugin-without-action'],
  ...['missing-env', 'env-of-wrong-type', 'env-octal', 'env-without-name'],
  // Variables.
  ...['variable-of-itself', 'variable-of-wrong-type', 'list-inside-text', 'unknown-variable-for-number'],
  // YAML 1.2 has read 012 as 12 before the schema sees it.
  ...['octal', 'octal-with-nine'],
  // One value that asks for another.
  ...['token-missing', 'csv-without-fields'],
])

const nameOf = (file: string) => file.replace(/^\d+-|\.yaml$/g, '')
const read = (file: string): unknown =>
  parse(readFileSync(path.join(fixtures, file), 'utf8'), { merge: true, logLevel: 'error' })

describe('the schema', () => {
  test('is a valid schema to a strict validator', () => {
    expect(ajv.validateSchema(schema)).toBe(true)
  })

  test.each(valid)('accepts %s', async (file) => {
    const { config } = await loadFile(path.join(fixtures, 'valid', file))
    expect(config).toBeDefined()
    validate(read(path.join('valid', file)))
    expect(validate.errors ?? []).toEqual([])
  })

  const seen = broken.filter((file) => !unseen.has(nameOf(file)))
  test.each(seen)('says of broken/%s what the loader says', async (file) => {
    const { config } = await loadFile(path.join(fixtures, 'broken', file))
    expect(validate(read(path.join('broken', file)))).toBe(config !== undefined)
  })

  test.each(broken.filter((file) => unseen.has(nameOf(file))))(
    'cannot see what is wrong in broken/%s',
    async (file) => {
      const { config } = await loadFile(path.join(fixtures, 'broken', file))
      expect(config).toBeUndefined()
      let value: unknown
      try {
        value = read(path.join('broken', file))
      } catch {
        return
      }
      expect(validate(value)).toBe(true)
    },
  )

  test.each(actions.flatMap((spec) => spec.examples.map((example) => [spec.name, spec.kind, example] as const)))(
    'accepts an example of %s',
    (_, kind, example) => {
      const list: unknown = parse(example.yaml, { merge: true, logLevel: 'error' })
      const input = kind === 'input' ? [] : [{ name: 'input_dummy', tag: 'a' }]
      validate([...input, ...(Array.isArray(list) ? list : [])])
      expect(validate.errors ?? []).toEqual([])
    },
  )

  test('offers a description and the default of each parameter', () => {
    expect(schema).toMatchObject({
      $defs: { input_dummy: { properties: { repeat: { description: expect.stringContaining('times'), default: 1 } } } },
    })
  })
})
