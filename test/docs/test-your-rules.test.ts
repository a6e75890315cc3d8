// What the guide shows of tests and replays is what a reader gets.
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { testCommand } from '../../src/cli/test.ts'
import { scratchFolder } from '../helpers/daemon.ts'

const guide = fileURLToPath(new URL('../../docs/guide/test-your-rules.md', import.meta.url))

async function blocks(language: string): Promise<string[]> {
  const text = await readFile(guide, 'utf8')
  return [...text.matchAll(new RegExp(`\`\`\`${language}\n([\\s\\S]*?)\`\`\``, 'g'))].map(([, block]) => block ?? '')
}

/** What `feedoo test ssh.yaml` prints for a text, without the folder and with the time of the guide. */
async function run(yaml: string): Promise<string> {
  const folder = await scratchFolder()
  const file = join(folder, 'ssh.yaml')
  await writeFile(file, yaml)
  let printed = ''
  const write = (text: string) => {
    printed += text
  }
  await testCommand({ file }, write, write)
  return printed.replaceAll(`${folder}/`, '').replace(/in \d+ ms/, 'in 9 ms')
}

test('the example passes as the guide says', async () => {
  const [yaml = ''] = await blocks('yaml ssh.yaml')
  const [session = ''] = await blocks('text')
  expect(`$ feedoo test ssh.yaml\n${await run(yaml)}`).toBe(session)
})

test('a test that fails looks as the guide says', async () => {
  const [yaml = ''] = await blocks('yaml ssh.yaml')
  const [, failure = ''] = await blocks('text')
  const printed = await run(yaml.replace('status: firing }', 'num_events: 5 }'))
  expect(printed.replace(/"203.0.113.9",.*\}$/m, '"203.0.113.9",...}').slice(0, failure.length)).toBe(failure)
})
