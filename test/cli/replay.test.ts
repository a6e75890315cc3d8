// `feedoo replay` as a person meets it: what it prints, what it writes, and its exit code.
import { execFile } from 'node:child_process'
import { readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { gzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { type ReplayCommand, replayCommand } from '../../src/cli/replay.ts'
import { Daemon, scratchFolder } from '../helpers/daemon.ts'
import { sshdBlocks } from '../helpers/sshd-lines.ts'

const yaml = `pipelines:
  web:
    - { name: input_file, tag: web, path_pattern: /var/log/none }
    - { name: filter_frequency, label: many, match: web, query_key: user, num_events: 2, timeframe: 10, realert: 15, tag: alert }
    - { name: output_archive, path_template: "{dir}/must-not-be" }
`

const line = (timestamp: number, user: string, tag = 'web') => JSON.stringify({ tag, timestamp, record: { user } })
const lines = [0, 1, 2, 3, 5000, 5001, 5020, 5021].map((second) => line(1_700_000_000 + second, 'eve'))

/** Runs it in a folder with a.yaml and `files`; paths are given and shown without the folder. */
async function run(files: Record<string, string | Buffer>, options: Partial<ReplayCommand> = {}) {
  const folder = await scratchFolder()
  for (const [name, content] of Object.entries({ 'a.yaml': yaml.replace('{dir}', folder), ...files })) {
    await writeFile(join(folder, name), content)
  }
  let stdout = ''
  let stderr = ''
  const { from = ['a.jsonl'], alerts = 'alerts.jsonl', ...more } = options
  const code = await replayCommand(
    {
      ...{ file: join(folder, 'a.yaml'), speed: 'max', timeKey: 'timestamp', raw: false, dns: false },
      ...more,
      from: from.map((path) => join(folder, path)),
      alerts: join(folder, alerts),
    },
    (text) => {
      stdout += text
    },
    (text) => {
      stderr += text
    },
  )
  const plain = (text: string) => text.replaceAll(`${folder}/`, '').replace(/in [\d.]+ s \(CPU [\d.]+ s\)/, 'in 0 s')
  const written = await readFile(join(folder, alerts), 'utf8').catch(() => '')
  return { code, stdout: plain(stdout), stderr: plain(stderr), alerts: written, folder }
}

describe('feedoo replay', () => {
  test('shows alerts by rule and key, and over time', async () => {
    const { code, stdout, stderr } = await run({ 'a.jsonl': `${lines.join('\n')}\n` })
    expect([code, stderr]).toEqual([0, ''])
    expect(stdout).toBe(`8 lines of 1 file in 0 s, 2023-11-14 22:13:20 to 2023-11-14 23:37:01 UTC

rule  key    alerts  resolved  suppressed  first                last
many  1 key       3         0           1  2023-11-14 22:13:21  2023-11-14 23:37:01
        eve       3         0           1  2023-11-14 22:13:21  2023-11-14 23:37:01

alerts by 5 minutes:
2023-11-14 22:10:00  #################### 1
${Array.from({ length: 15 }, (_, i) => `2023-11-14 ${22 + Math.floor((15 + i * 5) / 60)}:${String((15 + i * 5) % 60).padStart(2, '0')}:00\n`).join('')}2023-11-14 23:30:00
2023-11-14 23:35:00  ######################################## 2
`)
  })

  test('writes the alerts as JSON lines, with what is in their metadata', async () => {
    const { alerts } = await run({ 'a.jsonl': `${lines.slice(0, 2).join('\n')}\n` })
    expect(alerts).toMatch(/\}\n$/)
    expect(JSON.parse(alerts)).toEqual({
      tag: 'alert',
      timestamp: 1_700_000_001,
      record: { timestamp: 1_700_000_001, rule: 'many', query_key: 'eve', num_events: 2, timeframe: 10 },
      id: expect.stringMatching(/^[0-9a-f]{32}$/),
      rule: 'many',
      pipeline: 'web',
      query_key: 'eve',
    })
  })

  test('reads the files of a glob in the order of their names, also compressed ones', async () => {
    const files = { 'a1.jsonl.gz': gzipSync(lines.slice(0, 1).join('\n')), 'a2.jsonl': lines.slice(1, 2).join('\n') }
    const { stdout, alerts } = await run(files, { from: ['a*.jsonl*'] })
    expect(stdout).toContain('2 lines of 2 files')
    expect(alerts.split('\n')).toHaveLength(2)
  })

  test('takes a path that looks like a glob as it is', async () => {
    const { stdout } = await run({ 'a[1].jsonl': lines.join('\n') }, { from: ['a[1].jsonl'] })
    expect(stdout).toContain('8 lines of 1 file')
  })

  test('tells of lines that it could not read', async () => {
    const { code, stdout } = await run({ 'a.jsonl': `{"a":\n${lines[0]}\n{]\n` })
    expect(code).toBe(0)
    expect(stdout).toContain(
      'no alerts\n\n2 lines could not be read:\n  a.jsonl:1: this begins as JSON and is none\n  a.jsonl:3: ',
    )
  })

  test('ends with 1 when a file cannot be read to its end, and says what it did see', async () => {
    const { code, stdout } = await run(
      { 'a.gz': gzipSync(lines.join('\n')).subarray(0, 60), 'b.jsonl': lines.join('\n') },
      {
        from: ['a.gz', 'b.jsonl'],
      },
    )
    expect(code).toBe(1)
    expect(stdout).toContain('cannot read a.gz: unexpected end of file')
    expect(stdout).toContain('many  1 key       3')
  })

  test.each<[Partial<ReplayCommand>, string]>([
    [{ from: ['none*'] }, 'feedoo: --from none*: no file matches\n'],
    [{ from: ['['] }, 'feedoo: --from [: '],
    [{ speed: 'fast' }, 'feedoo: --speed takes max, or how many times faster it goes, not fast\n'],
    [{ speed: '0' }, 'feedoo: --speed takes max, or how many times faster it goes, not 0\n'],
    [{ now: 'soon' }, 'feedoo: --now takes a date, such as "2026-11-20 23:41:00", not soon\n'],
    [{ pipeline: 'wbe' }, 'feedoo: a.yaml has no pipeline wbe, did you mean "web"?\n'],
    [{ alerts: 'a.jsonl' }, 'feedoo: --alerts would write over a.jsonl, which is read\n'],
  ])('%j is refused, and nothing is written', async (options, message) => {
    const { code, stderr, stdout, alerts } = await run({ 'a.jsonl': lines.join('\n') }, options)
    expect([code, stdout]).toEqual([2, ''])
    expect(stderr.slice(0, message.length)).toBe(message)
    expect(alerts).toBe(options.alerts === 'a.jsonl' ? lines.join('\n') : '')
  })

  test.each([
    ['a.yaml', 'the configuration', 'a.yaml'],
    ['link.jsonl', 'what is replayed, by another name', 'a.jsonl'],
  ])('--alerts %s is refused: it would write over %s', async (alerts, _, file) => {
    const folder = await scratchFolder()
    await writeFile(join(folder, 'a.yaml'), yaml.replace('{dir}', folder))
    await writeFile(join(folder, 'a.jsonl'), lines.join('\n'))
    await symlink('a.jsonl', join(folder, 'link.jsonl'))
    const before = await readFile(join(folder, file), 'utf8')
    const daemon = new Daemon(['replay', 'a.yaml', '--from', 'a.jsonl', '--alerts', alerts], { cwd: folder })
    expect([await daemon.exit(), daemon.stderr]).toEqual([
      2,
      `feedoo: --alerts would write over ${file}, which is read\n`,
    ])
    expect(await readFile(join(folder, file), 'utf8')).toBe(before)
  })

  test('alerts that cannot be written are a failure, and no report says otherwise', async () => {
    const folder = await scratchFolder()
    await writeFile(join(folder, 'a.yaml'), yaml.replace('{dir}', folder))
    await writeFile(join(folder, 'a.jsonl'), lines.join('\n'))
    const daemon = new Daemon(['replay', 'a.yaml', '--from', 'a.jsonl', '--alerts', '/dev/full'], { cwd: folder })
    expect([await daemon.exit(), daemon.stdout]).toEqual([1, ''])
    expect(daemon.stderr).toMatch(/^feedoo: cannot write \/dev\/full: /)
  })

  test('a reader of the alerts that goes away is no failure', async () => {
    const folder = await scratchFolder()
    await writeFile(join(folder, 'a.yaml'), yaml.replace('{dir}', folder))
    await writeFile(join(folder, 'a.jsonl'), lines.join('\n'))
    const command = 'set -o pipefail; "$0" "$1" replay a.yaml --from a.jsonl --alerts - | true; echo $?'
    const main = join(root, 'dist/main.js')
    const { stdout, stderr } = await promisify(execFile)('bash', ['-c', command, process.execPath, main], {
      cwd: folder,
    })
    expect([stdout, stderr]).toEqual(['0\n', ''])
  })
})

const root = fileURLToPath(new URL('../..', import.meta.url))

test('lines of sshd give the same alerts twice, byte for byte, and touch nothing else', async () => {
  const folder = await scratchFolder()
  await writeFile(join(folder, 'auth.log'), [...sshdBlocks(20_000)].join(''))
  const example = join(root, 'etc/feedoo/pipelines/ssh-bruteforce.yaml')
  const replay = async (alerts: string) => {
    const args = ['replay', example, '--from', 'auth.log', '--now', '2026-12-01', '--alerts', alerts]
    const daemon = new Daemon(args, { cwd: folder, env: { ALERT_DIR: join(folder, 'must-not-be') } })
    expect(await daemon.exit()).toBe(0)
    return {
      stdout: daemon.stdout,
      alerts: alerts === '-' ? daemon.stdout : await readFile(join(folder, alerts), 'utf8'),
    }
  }
  const first = await replay('1.jsonl')
  expect(first.stdout).toContain('20,000 lines of 1 file')
  expect(first.stdout).toMatch(/^ssh brute force +\d+ keys/m)
  expect(first.alerts.split('\n').length).toBeGreaterThan(50)
  expect((await replay('2.jsonl')).alerts).toBe(first.alerts)
  expect((await replay('-')).alerts).toBe(first.alerts)
  await expect(readFile(join(folder, 'must-not-be'))).rejects.toMatchObject({ code: 'ENOENT' })
})
