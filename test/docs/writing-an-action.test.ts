// The code of docs/guide/writing-an-action.md, taken from the page and run by the built package.
import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, expect, it, onTestFinished } from 'vitest'

const root = fileURLToPath(new URL('../..', import.meta.url))
const page = readFileSync(join(root, 'docs/guide/writing-an-action.md'), 'utf8')

/** The blocks that name a file behind their language: ```js mine.js */
const blocks = new Map(
  Array.from(page.matchAll(/^```\w+ (\S+)\n(.*?)^```$/gms), ([, file = '', text = '']): [string, string] => [
    file,
    text,
  ]),
)

const dir = mkdtempSync(join(tmpdir(), 'feedoo-guide-'))
afterAll(() => rmSync(dir, { recursive: true, force: true }))

it('has the files that this test knows, and no others', () => {
  expect([...blocks.keys()]).toEqual([
    'mine.js',
    'mask.yaml',
    'mine.test.js',
    'command.js',
    'webhook.js',
    'parser_pairs.ts',
    'package.json',
  ])
})

it('the filter runs from a folder that holds nothing else, and prints what the page shows', async () => {
  const folder = folderWith('mine.js', 'mask.yaml')
  const { code, stdout, stderr } = await node([main, 'run', '-c', join(folder, 'mask.yaml')])
  expect([code, stderr]).toEqual([0, expect.stringContaining('0 errors, 0 dead letters')])
  const shown = /^\$ feedoo run -c mask\.yaml\n(.*)$/m.exec(page)?.[1]
  expect(stdout.replace(/\[\d+(\.\d+)?\]/, '[1790000000.123]')).toBe(`${shown}\n`)
})

it('feedoo checks and explains the filter as one of its own', async () => {
  const folder = folderWith('mine.js')
  const file = join(folder, 'mask.yaml')
  writeFileSync(file, block('mask.yaml').replace('key: user.email', 'key: user.email\n      keap: 2'))
  const check = await node([main, 'check', '-c', file])
  expect(check.code).toBe(2)
  expect(check.stderr).toMatch(/mask\.yaml:11:7: .*keap.*\n.*did you mean "keep"/s)

  writeFileSync(file, block('mask.yaml'))
  const explained = await node([main, 'actions', 'filter_mask', '-c', file])
  expect(explained.code).toBe(0)
  expect(explained.stdout).toContain('keep: whole number, at least 0 (default 1)')
})

it("the page's test of the filter passes where feedoo is installed", async () => {
  const folder = folderWith('mine.js', 'mine.test.js')
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}')
  install(folder)
  const { code, stdout } = await node(['--test'], folder)
  expect(stdout).toContain('An e-mail address keeps its domain')
  expect(code).toBe(0)
})

it('the input does what its example says', async () => {
  const folder = folderWith('command.js')
  await runExamples(join(folder, 'command.js'))
})

it('the output posts its events, again after the server was away', async () => {
  const bodies: string[] = []
  const server = createServer((request, response) => {
    let body = ''
    request.setEncoding('utf8').on('data', (text) => {
      body += text
    })
    request.on('end', () => {
      bodies.push(body)
      response.writeHead(bodies.length === 1 ? 503 : 200).end()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  const { port } = server.address() as AddressInfo

  const folder = folderWith()
  const ours = `http://127.0.0.1:${port}/alerts", retry_delay: 0.001`
  writeFileSync(join(folder, 'webhook.js'), block('webhook.js').replace('http://127.0.0.1:8080/alerts"', ours))
  await runExamples(join(folder, 'webhook.js'))
  expect(bodies).toEqual(['{"user":"root"}\n', '{"user":"root"}\n'])
})

it('the TypeScript variant has no type errors, and compiled it does what its example says', async () => {
  const folder = folderWith('parser_pairs.ts')
  install(folder)
  const compilerOptions = { module: 'nodenext', target: 'es2023', lib: ['es2023'], types: [], strict: true }
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions }))
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}')
  const { stdout } = await node([join(root, 'node_modules/typescript/bin/tsc'), '-p', folder])
  expect(stdout).toBe('')
  await runExamples(join(folder, 'parser_pairs.js'))
})

it('the package is found by its name from the folder of the configuration', async () => {
  const folder = folderWith()
  const home = join(folder, 'node_modules/feedoo-soc-actions')
  mkdirSync(home, { recursive: true })
  for (const file of ['package.json', 'mine.js']) writeFileSync(join(home, file), block(file))
  const file = join(folder, 'mask.yaml')
  writeFileSync(file, block('mask.yaml').replace('./mine.js', 'feedoo-soc-actions'))
  const { code, stdout } = await node([main, 'run', '-c', file])
  expect(stdout).toContain('a****@example.com')
  expect(code).toBe(0)
})

const main = join(root, 'dist/main.js')

function block(file: string): string {
  const text = blocks.get(file)
  if (text === undefined) throw new Error(`the page has no block ${file}`)
  return text
}

function folderWith(...files: string[]): string {
  const folder = mkdtempSync(join(dir, 'folder-'))
  for (const file of files) writeFileSync(join(folder, file), block(file))
  return folder
}

function install(folder: string): void {
  mkdirSync(join(folder, 'node_modules'))
  symlinkSync(root, join(folder, 'node_modules/feedoo'))
}

/** Loads a plugin as the daemon does, and runs the examples of its actions. */
async function runExamples(plugin: string): Promise<void> {
  const source = `
    import assert from 'node:assert/strict'
    import { pathToFileURL } from 'node:url'
    import { loadActions } from ${JSON.stringify(join(root, 'dist/core/registry.js'))}
    import { runExample } from ${JSON.stringify(join(root, 'dist/testing.js'))}
    const specs = (await loadActions([pathToFileURL(process.argv[1]).href])).all()
    for (const { examples } of specs) {
      for (const example of examples) {
        assert.deepEqual((await runExample(example, specs)).out, example.out)
        console.log('ran', example.title)
      }
    }`
  const { stderr, stdout } = await node(['--input-type=module', '-e', source, plugin])
  expect(stderr).toBe('')
  expect(stdout).toMatch(/^ran /)
}

function node(args: string[], cwd = dir): Promise<{ code: number; stdout: string; stderr: string }> {
  // Node's test runner tells its children that they are such; vitest's environment has nothing to do with them.
  const { NODE_TEST_CONTEXT: _, NODE_OPTIONS: __, ...env } = process.env
  return new Promise((resolve) => {
    const child = execFile(process.execPath, args, { env, cwd }, (_error, stdout, stderr) =>
      resolve({ code: child.exitCode ?? -1, stdout, stderr }),
    )
  })
}
