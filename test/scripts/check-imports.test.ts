import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import { checkImports } from '../../scripts/check-imports.ts'

function tree(files: Record<string, string>): string {
  const src = mkdtempSync(join(tmpdir(), 'feedoo-test-'))
  onTestFinished(() => rmSync(src, { recursive: true }))
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(src, path)), { recursive: true })
    writeFileSync(join(src, path), text)
  }
  return src
}

test.each<[string, string, string, number]>([
  ['core imports an action', 'core/pipeline.ts', "import { x } from '../actions/filter/filter_a.ts'", 1],
  ['core imports the command line', 'core/a.ts', "\n\nimport type { X } from '../cli/run.ts'", 3],
  ['core imports the HTTP server', 'core/a.ts', "export * from '../http/server.ts'", 1],
  ['an action imports another', 'actions/filter/filter_a.ts', "import { b } from './filter_b.ts'", 1],
  ['an action imports the list of actions', 'actions/filter/filter_a.ts', "import { actions } from '../index.ts'", 1],
  ['an action imports the HTTP server', 'actions/input/input_a.ts', "import '../../http/server.ts'", 1],
  ['protocol imports core', 'protocol/msgpack.ts', "import { x } from '../core/event.ts'", 1],
  ['http imports an action', 'http/server.ts', "import { x } from '../actions/index.ts'", 1],
  ['the public entry imports an action', 'index.ts', "export { x } from './actions/index.ts'", 1],
  ['main imports http', 'main.ts', "const { x } = await import('./http/server.ts')", 1],
  ['something imports from outside', 'core/a.ts', "import x from '../../test/helpers/hostile.ts'", 1],
  ['a new part has no rule', 'new/a.ts', "import { x } from '../core/event.ts'", 1],
  ['an import goes over several lines', 'core/a.ts', "import {\n  x,\n  y,\n} from '../actions/index.ts'", 4],
  ['an export goes over several lines', 'core/a.ts', "export {\n  x,\n} from '../actions/index.ts'", 3],
])('%s: caught', (_, file, source, line) => {
  expect(checkImports(tree({ [file]: source }))).toEqual([{ file, line, message: expect.any(String) }])
})

test('what is allowed is not caught', () => {
  const src = tree({
    'main.ts': "import { run } from './cli/main.ts'",
    'index.ts': "export { z } from 'zod'\nexport * from './core/action.ts'",
    'cli/run.ts': "import { a } from '../actions/index.ts'\nconst s = await import('../http/server.ts')",
    'actions/index.ts': "import { a } from './filter/filter_a.ts'",
    'actions/filter/filter_a.ts':
      "import { e } from '../../core/event.ts'\nimport { m } from '../../protocol/msgpack.ts'\nimport fs from 'node:fs'",
    'core/config/load.ts': "import { e } from '../event.ts'\nimport { m } from '../../protocol/msgpack.ts'",
    'http/server.ts': "import type { S } from '../core/metrics.ts'\nimport { p } from './prometheus.ts'",
    'protocol/forward.ts': "import { m } from './msgpack.ts'\nconst text = 'import from ../core/event.ts'",
  })
  expect(checkImports(src)).toEqual([])
})

test('our own tree keeps the rules', () => {
  expect(checkImports(fileURLToPath(new URL('../../src', import.meta.url)))).toEqual([])
})
