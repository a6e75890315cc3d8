// The command line: what is understood, what is said about what is not, and what becomes of output nobody takes.
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { mainFile, scratchFolder } from '../helpers/daemon.ts'

const good = 'pipelines:\n  p:\n    - { name: input_dummy, tag: t, data: { n: 1 } }\n    - { name: output_stdout }\n'
const bad = 'pipelines:\n  p:\n    - { name: input_dummmy, tag: t }\n'

/** Runs a command line, in a folder with good.yaml, bad.yaml and a file without a suffix. */
async function feedoo(...args: string[]) {
  const folder = await scratchFolder()
  await writeFile(join(folder, 'good.yaml'), good)
  await writeFile(join(folder, 'bad.yaml'), bad)
  await writeFile(join(folder, 'plain'), good)
  const run = spawnSync(process.execPath, [mainFile, ...args], { cwd: folder, encoding: 'utf8' })
  return { code: run.status, stdout: run.stdout, stderr: run.stderr }
}

test.each([
  [['good.yaml']],
  [['run', 'good.yaml']],
  [['-c', 'good.yaml']],
  [['run', '-c', 'good.yaml']],
  [['plain']],
  [['-v', 'good.yaml']],
])('feedoo %j runs the pipelines', async (args) => {
  const { code, stdout } = await feedoo(...args)
  expect(stdout).toMatch(/^t\[[\d.]+\]: \{"n":1\}\n$/)
  expect(code).toBe(0)
})

test.each([[['good.yaml']], [['-c', 'good.yaml']]])('feedoo check %j checks it', async (args) => {
  expect(await feedoo('check', ...args)).toEqual({
    code: 0,
    stdout: 'good.yaml: ok, 1 pipeline, 2 actions\n',
    stderr: '',
  })
})

test.each([
  [['runn'], 'feedoo: unknown command runn, did you mean run?\n'],
  [['chek', '-c', 'good.yaml'], 'feedoo: unknown command chek, did you mean check?\n'],
  [
    ['frobnicate'],
    'feedoo: unknown command frobnicate, there are run, check, test, replay, reload, actions, schema, init, state, dead-letters\n',
  ],
  [['-v', 'run'], 'feedoo: the command stands before its options\n'],
  [['good.yaml', '-c', 'bad.yaml'], 'feedoo: there are two configurations, good.yaml and bad.yaml; give one\n'],
  [
    ['check', 'none.yaml'],
    'none.yaml: error: cannot read this file: there is no such file\nhint: give one with `-c FILE`, or write one with `feedoo init`\n1 error\n',
  ],
])('feedoo %j says what is wrong', async (args, stderr) => {
  expect(await feedoo(...args)).toEqual({ code: 2, stdout: '', stderr })
})

test.each([[['none.yaml']], [['run', 'none']]])(
  'feedoo %j, a configuration that is not there, says how to get one',
  async (args) => {
    const { code, stderr } = await feedoo(...args)
    expect(code).toBe(2)
    expect(stderr).toContain(`${args.at(-1)}: error: cannot read this file: there is no such file\nhint: give one with`)
  },
)

test.each([[['check', 'bad.yaml']], [['actions', '-c', 'bad.yaml']]])(
  'feedoo %j starts nothing, and does not talk about it',
  async (args) => {
    const { code, stderr } = await feedoo(...args)
    expect(code).toBe(2)
    expect(stderr).toMatch(/\n1 error\n$/)
  },
)

test('init does not overwrite what is in its way', async () => {
  const { code, stderr } = await feedoo('init', 'plain')
  expect(code).toBe(2)
  expect(stderr).toMatch(/^cannot make the folder plain: a file stands in its place/)
})

test('output that cannot be written is one sentence', () => {
  const full = openSync('/dev/full', 'w')
  onTestFinished(() => closeSync(full))
  const run = spawnSync(process.execPath, [mainFile, 'schema'], { stdio: ['ignore', full, 'pipe'] })
  expect(run.stderr.toString()).toMatch(/^feedoo: cannot write to the standard output: ENOSPC.*\n$/)
  expect(run.status).toBe(1)
})

test('output that nobody reads any more ends it quietly', async () => {
  const child = spawn(process.execPath, [mainFile, 'schema'], { stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  child.stderr.on('data', (text) => {
    said += String(text)
  })
  // Closed before anything is written: that takes Node longer to come to than this.
  child.stdout.destroy()
  expect(await once(child, 'close')).toEqual([0, null])
  expect(said).toBe('')
})

test('a log that cannot be written changes no exit code', async () => {
  const folder = await scratchFolder()
  await writeFile(join(folder, 'bad.yaml'), bad)
  await writeFile(join(folder, 'good.yaml'), good)
  const full = openSync('/dev/full', 'w')
  onTestFinished(() => closeSync(full))
  const code = (...args: string[]) =>
    spawnSync(process.execPath, [mainFile, ...args], { cwd: folder, stdio: ['ignore', 'ignore', full] }).status
  expect([code('check', 'bad.yaml'), code('run', 'good.yaml')]).toEqual([2, 0])
})
