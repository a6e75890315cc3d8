import { execFileSync, spawnSync } from 'node:child_process'
import { closeSync, constants, mkdtempSync, openSync, readFileSync, readSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { createLogger, lineWriter, prettyLine } from '../../src/core/log.ts'
import { mountSmallDisk } from '../helpers/small-disk.ts'

const logModule = JSON.stringify(new URL('../../src/core/log.ts', import.meta.url).href)

test.each<[string, Record<string, unknown>, string]>([
  ['the place', { level: 'warn', pipeline: 'web', action: 'store', msg: 'away' }, '12:30:01 WARN  web/store: away\n'],
  ['no place', { level: 'info', msg: 'runs' }, '12:30:01 INFO  runs\n'],
  ['details', { level: 'info', msg: 'm', n: 1, s: 'x', o: { a: [1] } }, '12:30:01 INFO  m (n=1, s=x, o={"a":[1]})\n'],
  ['an error', { level: 'error', msg: 'm', err: { message: 'why' } }, '12:30:01 ERROR m (why)\n'],
  [
    'text that would forge a line or colour the terminal',
    { level: 'info', msg: 'a\n12:30:02 INFO  all is well', tag: '\u001b[2J\u0000\u009b\r' },
    '12:30:01 INFO  a\\u000a12:30:02 INFO  all is well (tag=\\u001b[2J\\u0000\\u009b\\u000d)\n',
  ],
])('a line on a terminal shows %s', (_, fields, expected) => {
  expect(prettyLine(JSON.stringify({ time: '2026-01-02T12:30:01.000Z', ...fields }))).toBe(expected)
})

test.each([
  [0, 'info'],
  [1, 'debug'],
  [2, 'trace'],
  [3, 'trace'],
])('verbosity %i shows %s', (verbosity, level) => {
  expect(createLogger({ verbosity, pretty: false }).level).toBe(level)
})

test.each([true, false])('log lines go to standard error, none to standard output: pretty %s', (pretty) => {
  const script = `
    import { createLogger } from ${logModule}
    const log = createLogger({ verbosity: 0, pretty: ${pretty} }, { pipeline: 'web' })
    log.debug('hidden')
    log.info({ n: 12345678901234567890n }, 'x'.repeat(200000))
    process.kill(process.pid, 'SIGKILL')
  `
  const run = spawnSync(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script])
  expect(run.stdout.toString()).toBe('')
  const lines = run.stderr.toString().trimEnd().split('\n')
  // Nothing is held back: the last line is there although the process was killed right after it.
  expect(lines).toHaveLength(1)
  expect(lines[0]).toContain('x'.repeat(200_000))
  expect(lines[0]).toContain('web')
})

test.each([true, false])('a log that cannot be written does not end the process: pretty %s', (pretty) => {
  const script = `
    import { createLogger } from ${logModule}
    const log = createLogger({ verbosity: 0, pretty: ${pretty} })
    log.info('one')
    setImmediate(() => {
      log.error('two')
      process.stdout.write('still here')
    })
  `
  const full = openSync('/dev/full', 'w')
  onTestFinished(() => closeSync(full))
  const args = ['--import', 'tsx', '--input-type=module', '-e', script]
  const run = spawnSync(process.execPath, args, { stdio: ['ignore', 'pipe', full] })
  expect([run.status, run.stdout.toString()]).toEqual([0, 'still here'])
})

const line = (n: number) => `${JSON.stringify({ level: 'info', time: '2026-01-02T12:30:01.000Z', msg: `line ${n}` })}\n`

test('once somebody reads the log again, it says how many lines are missing', () => {
  const folder = mkdtempSync(join(tmpdir(), 'feedoo-log-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const pipe = join(folder, 'pipe')
  execFileSync('mkfifo', [pipe])
  const reader = () => openSync(pipe, constants.O_RDONLY | constants.O_NONBLOCK)
  const first = reader()
  const fd = openSync(pipe, 'w')
  onTestFinished(() => closeSync(fd))
  const log = lineWriter(fd, prettyLine)
  closeSync(first)
  for (const n of [1, 2, 3]) log.write(line(n))
  const second = reader()
  onTestFinished(() => closeSync(second))
  for (const n of [4, 5]) log.write(line(n))
  const bytes = Buffer.alloc(10_000)
  const text = bytes.toString('utf8', 0, readSync(second, bytes))
  expect(text.replace(/^\S+ /gm, '')).toBe(
    'WARN  log lines could not be written and were dropped (dropped=3)\nINFO  line 4\nINFO  line 5\n',
  )
})

const disk = mountSmallDisk(16)
test.skipIf(disk === undefined)(
  'after a full disk, each line of the log is whole or missing (needs the right to mount)',
  () => {
    const folder = disk?.folder ?? ''
    onTestFinished(() => disk?.remove())
    const [file, filler] = [join(folder, 'log'), join(folder, 'filler')]
    writeFileSync(filler, 'x'.repeat(8192))
    const fd = openSync(file, 'a')
    onTestFinished(() => closeSync(fd))
    const log = lineWriter(fd, (text) => text)
    const count = 200
    for (let n = 0; n < count; n++) log.write(line(n))
    rmSync(filler)
    log.write(line(count))
    const lines = readFileSync(file, 'utf8').trimEnd().split('\n')
    expect(lines.at(-1)).toBe(line(count).trimEnd())
    const { dropped } = JSON.parse(lines.at(-2) ?? '') as { dropped: number }
    // The line that was torn stands alone.
    const whole = lines.filter((text) => text.includes('"info"') && text.endsWith('}'))
    expect(dropped).toBeGreaterThan(0)
    expect(whole).toHaveLength(count + 1 - dropped)
  },
)
