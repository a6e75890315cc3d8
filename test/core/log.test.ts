import { spawnSync } from 'node:child_process'
import { expect, test } from 'vitest'
import { createLogger, prettyLine } from '../../src/core/log.ts'

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
    import { createLogger } from ${JSON.stringify(new URL('../../src/core/log.ts', import.meta.url).href)}
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
