// A process that runs one example from its standard input, and prints what the example prints and nothing else.
import { readFileSync } from 'node:fs'
import { actions } from '../../src/actions/index.ts'
import type { Example } from '../../src/core/action.ts'
import { runExample } from '../../src/testing.ts'

const example = JSON.parse(readFileSync(0, 'utf8')) as Example
const { out } = await runExample(example, actions)
process.stderr.write(JSON.stringify(out))
