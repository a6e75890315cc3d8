// biome-ignore-all lint/suspicious/noTemplateCurlyInString: pieces of a configuration
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { Ajv2020 } from 'ajv/dist/2020.js'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { actions } from '../../../src/actions/index.ts'
import { formatDiagnostic } from '../../../src/core/config/diagnostic.ts'
import { configSchema } from '../../../src/core/config/schema.ts'
import { Registry } from '../../../src/core/registry.ts'
import { fixtureEnv, fixtures, loadText } from './helpers.ts'

const text = readFileSync(path.join(fixtures, 'valid/everything.yaml'), 'utf8').replace(/include:\n.*\n/, '')
const validate = new Ajv2020({ allowUnionTypes: true, validateFormats: false }).compile(
  configSchema(new Registry(actions)),
)

const pieces = fc.constantFrom(
  ...['', ' ', '\n', '\t', ':', '- ', '[', ']', '{', '}', '"', "'", '*out', '&a ', '<<: ', '${', '{times}', '|\n', '#'],
  ...['!x ', '%', '~', 'yes', '012', '1e9', '---\n', '? ', '__proto__: ', '\u0000', '😀', '\ud800', '\r', 'x'],
)
/** What is done to the text: at a place, some characters are replaced. */
const damage = fc.record({ at: fc.nat(text.length), cut: fc.nat(6), put: pieces })

test('a damaged configuration is refused at a place that exists, or is also valid to the schema', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(damage, { minLength: 1, maxLength: 3 }), async (damages) => {
      const damaged = damages.reduce((now, { at, cut, put }) => now.slice(0, at) + put + now.slice(at + cut), text)
      const { config, diagnostics } = await loadText(damaged, { env: fixtureEnv })
      const lines = damaged.split('\n')
      for (const one of diagnostics) {
        expect(one.line).toBeLessThanOrEqual(lines.length)
        expect(one.column).toBeLessThanOrEqual((lines[one.line - 1] ?? '').length + 1)
        expect(formatDiagnostic(one)).toContain(one.severity)
      }
      if (config === undefined) expect(diagnostics.some(({ severity }) => severity === 'error')).toBe(true)
      else if (!validate(parse(damaged, { merge: true, logLevel: 'error' })))
        throw new Error('only the schema refuses it')
    }),
    { numRuns: 300 },
  )
})
