// Files and folders that cannot be read: what the log says, and what becomes of a job that was to read them.
import { execFileSync, spawnSync } from 'node:child_process'
import { chmod, mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { recordingLog } from '../../helpers/recording-log.ts'
import { type ActionMap, makePipeline } from '../../helpers/run-pipeline.ts'
import { scratch } from './tailing.ts'

/** Runs input_file with `once`: its lines, what the log warned of, and the error it ended with. */
async function job(params: Record<string, unknown>) {
  const { lines: logged, log } = recordingLog()
  const list: ActionMap[] = [{ name: 'input_file', tag: 't', once: true, ...params }]
  const { pipeline, out } = makePipeline(list, { log })
  await pipeline.open()
  const error: unknown = await pipeline.run(new AbortController().signal).then(
    () => undefined,
    (reason: unknown) => reason,
  )
  const warnings = logged.filter(({ level }) => level === 'warn')
  return { lines: out.map(({ record }) => record.log), warnings, logged, error }
}

test('a folder that does not exist is one sentence, and no success', async () => {
  const dir = await scratch()
  const missing = join(dir, 'nowhere')
  const { warnings, error } = await job({ path_pattern: '*.log', watch_path: missing })
  expect(warnings.map(({ msg, err }) => [msg, err])).toEqual([
    [`cannot read ${missing}: there is no such folder`, undefined],
  ])
  expect(error).toMatchObject({
    code: 'INPUT_UNREADABLE',
    message: `could not read 1 path: ${missing}: there is no such folder`,
  })
})

test('a link that leads round in a circle does not keep the others from being read', async () => {
  const dir = await scratch()
  await writeFile(join(dir, 'b.log'), 'b\n')
  for (const name of ['a.log', 'c.log']) await symlink(name, join(dir, name))
  const { lines, warnings, error } = await job({ path_pattern: `${dir}/*.log` })
  expect(lines).toEqual(['b'])
  expect(warnings.map(({ msg }) => String(msg)).sort()).toEqual([
    `cannot read ${dir}/a.log: its links lead round in a circle`,
    `cannot read ${dir}/c.log: its links lead round in a circle`,
  ])
  expect(error).toMatchObject({
    code: 'INPUT_UNREADABLE',
    message: expect.stringMatching(/^could not read 2 paths, the first: \S+: its links/),
  })
})

test('what is no file and what does not match are not missed', async () => {
  const dir = await scratch()
  execFileSync('mkfifo', [join(dir, 'pipe.log')])
  await symlink('loop.txt', join(dir, 'loop.txt'))
  await writeFile(join(dir, 'a.log'), 'a\n')
  const { lines, warnings, error } = await job({ path_pattern: `${dir}/*.log` })
  expect([lines, error]).toEqual([['a'], undefined])
  expect(warnings.map(({ msg }) => msg)).toEqual([`cannot read ${dir}/pipe.log: it is not a regular file`])
})

const nobody = 65534

test.skipIf(process.getuid?.() !== 0)('another one’s file is one sentence without a stack (needs root)', async () => {
  const dir = await scratch()
  await chmod(dir, 0o755)
  await mkdir(join(dir, 'closed'), { mode: 0o700 })
  await writeFile(join(dir, 'secret.log'), 'x\n', { mode: 0o600 })
  await writeFile(join(dir, 'open.log'), 'y\n', { mode: 0o644 })
  const script = `
    const { inputFile } = await import(${JSON.stringify(new URL('../../../src/actions/input/input_file.ts', import.meta.url).href)})
    const { systemClock } = await import(${JSON.stringify(new URL('../../../src/core/clock.ts', import.meta.url).href)})
    process.setgid(${nobody})
    process.setuid(${nobody})
    const said = []
    const lines = []
    const log = { debug() {}, info() {}, warn: (fields, message) => said.push([message, Object.keys(fields)]) }
    const { action } = inputFile.build(
      { tag: 't', path_pattern: ${JSON.stringify(`${dir}/*.log`)}, once: true },
      { clock: systemClock, log, deadLetter() {} },
    )
    const run = {
      emit: async (events) => void lines.push(...events.map(({ record }) => record.log)),
      signal: new AbortController().signal,
      positions: new Map(),
      progress() {},
    }
    const ended = await action.run(run).then(() => 'well', ({ code, message }) => [code, message])
    console.log(JSON.stringify({ said: said.sort(), lines, ended }))
  `
  const run = spawnSync(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script])
  expect(run.stderr.toString()).toBe('')
  expect(JSON.parse(run.stdout.toString())).toEqual({
    said: [
      [`cannot read ${dir}/closed: permission denied`, ['path']],
      [`cannot read ${dir}/secret.log: permission denied`, ['path']],
    ],
    lines: ['y'],
    ended: ['INPUT_UNREADABLE', expect.stringMatching(/^could not read 2 paths, the first: \S+: permission denied$/)],
  })
})

test('the debug log tells which files are opened and closed', async () => {
  const dir = await scratch()
  const file = join(dir, 'a.log')
  await writeFile(file, 'a\nb\n')
  const { logged } = await job({ path_pattern: file, remove: true })
  const told = logged.filter(({ level }) => level === 'debug').map(({ msg, path }) => [msg, path])
  expect(told).toEqual([
    ['opened', file],
    ['removed', file],
    ['closed', file],
  ])
})
