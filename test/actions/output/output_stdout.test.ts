// What output_stdout does when it cannot print. What it prints is shown by its examples.
import { type SpawnSyncReturns, spawnSync } from 'node:child_process'
import { closeSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { mountSmallDisk } from '../../helpers/small-disk.ts'

const module = JSON.stringify(new URL('../../../src/actions/output/output_stdout.ts', import.meta.url).href)

/** Runs lines of code with `write(events)`, which tells what it threw on standard error. */
function script(lines: string, stdout: number | 'pipe'): SpawnSyncReturns<Buffer> {
  const code = `
    import { rmSync } from 'node:fs'
    import { outputStdout } from ${module}
    const { action } = outputStdout.build({}, { deadLetter: () => console.error('dead letter') })
    const write = (events) => action.write(events).then(
      () => console.error('written'),
      ({ code, retriable }) => console.error(code, retriable),
    )
    const event = (n) => ({ tag: 't', timestamp: 1, record: { n, text: 'x'.repeat(100) } })
    ${lines}
  `
  const args = ['--import', 'tsx', '--input-type=module', '-e', code]
  return spawnSync(process.execPath, args, { stdio: ['ignore', stdout, 'pipe'] })
}

test('a target that is full is away, so that events wait for it', () => {
  const full = openSync('/dev/full', 'w')
  onTestFinished(() => closeSync(full))
  const run = script('await write([event(1)])', full)
  expect(run.stderr.toString()).toBe('OUTPUT_UNAVAILABLE true\n')
})

test('when nobody reads any more, that is final', () => {
  const args = ['--import', 'tsx', '--input-type=module', '-e']
  const code = `
    import { outputStdout } from ${module}
    const { action } = outputStdout.build({}, {})
    const events = Array.from({ length: 10_000 }, (_, n) => ({ tag: 't', timestamp: 1, record: { n } }))
    try {
      for (;;) await action.write(events)
    } catch ({ code, retriable }) {
      console.error(code, retriable)
    }
  `
  // The shell makes the pipe and closes it: its first line is all that is read.
  const run = spawnSync('sh', ['-c', '"$0" "$@" | head -n 1', process.execPath, ...args, code])
  expect(run.stdout.toString()).toBe('t[1]: {"n":0}\n')
  expect(run.stderr.toString()).toBe('STDOUT_CLOSED false\n')
})

const disk = mountSmallDisk(16)
test.skipIf(disk === undefined)('a retry prints nothing twice (needs the right to mount)', () => {
  const folder = disk?.folder ?? ''
  onTestFinished(() => disk?.remove())
  const [file, filler] = [join(folder, 'out'), join(folder, 'filler')]
  writeFileSync(filler, 'x'.repeat(12_288))
  const stdout = openSync(file, 'a')
  onTestFinished(() => closeSync(stdout))
  const run = script(
    `
    const events = Array.from({ length: 60 }, (_, n) => event(n))
    events.splice(1, 0, { tag: 't', timestamp: 1, record: { toJSON() { throw new Error('no') } } })
    await write(events)
    await write(events)
    rmSync(${JSON.stringify(filler)})
    await write(events)
    await write([event(60)])
    `,
    stdout,
  )
  rmSync(filler, { force: true })
  // Told of the record that cannot be printed once, however often the write is tried again.
  expect(run.stderr.toString().trimEnd().split('\n')).toEqual([
    'dead letter',
    'OUTPUT_UNAVAILABLE true',
    'OUTPUT_UNAVAILABLE true',
    'written',
    'written',
  ])
  const printed = readFileSync(file, 'utf8').trimEnd().split('\n')
  expect(printed.map((line) => /"n":(\d+)/.exec(line)?.[1]).filter((n) => n !== undefined)).toEqual(
    Array.from({ length: 61 }, (_, n) => String(n)),
  )
})
