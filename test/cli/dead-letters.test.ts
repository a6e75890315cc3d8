import { copyFile, link, mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { describe, expect, test, vi } from 'vitest'
import { dropCommand, type LetterFilter, listCommand } from '../../src/cli/dead-letters.ts'
import { removeLines, withLetters } from '../../src/cli/dead-letters-file.ts'
import { replayLettersCommand } from '../../src/cli/dead-letters-replay.ts'
import { Daemon, scratchFolder } from '../helpers/daemon.ts'

const patience = { timeout: 20_000, interval: 20 }

interface Said {
  code: number
  out: string
  err: string
}

type Run = (write: (text: string) => void, writeError: (text: string) => void) => Promise<number>

async function said(run: Run): Promise<Said> {
  let out = ''
  let err = ''
  const code = await run(
    (text) => {
      out += text
    },
    (text) => {
      err += text
    },
  )
  return { code, out, err }
}

const list = (file: string, filter: LetterFilter = {}, json = false) =>
  said((write, writeError) => listCommand({ from: { file }, json, ...filter }, write, writeError))
const drop = (file: string, filter: LetterFilter, all = false) =>
  said((write, writeError) => dropCommand({ from: { file }, all, ...filter }, write, writeError))
const replay = (config: string, filter: LetterFilter = {}) =>
  said((write, writeError) => replayLettersCommand({ config, ...filter }, write, writeError))

function letter(pipeline: string, action: string, time: number, extra: Record<string, unknown> = {}): string {
  const event = { tag: 't', timestamp: time - 1, record: { n: time } }
  return JSON.stringify({ time, pipeline, action, code: 'PARSE_FAILED', reason: 'why', ...event, ...extra })
}

const lines = [
  letter('web', 'json', 1000),
  letter('web', 'json', 3000),
  letter('web', 'json', 2000, { code: 'ACTION_FAILED' }),
  'no JSON',
  letter('db', 'json', 4000),
  '{"some":"thing"}',
  letter('db', 'store', 5000, { record: undefined, record_text: '{ a: ' }),
]

async function fileOf(texts: readonly string[], end = '\n'): Promise<string> {
  const path = join(await scratchFolder(), 'dead.jsonl')
  await writeFile(path, texts.join('\n') + end)
  return path
}

async function linesOf(path: string): Promise<string[]> {
  return (await readFile(path, 'utf8')).split('\n').filter((line) => line !== '')
}

/** Which of `lines` each filter means. */
const filters: [string, LetterFilter, number[]][] = [
  ['a pipeline', { pipeline: 'web' }, [0, 1, 2]],
  ['an action of all pipelines', { action: 'json' }, [0, 1, 2, 4]],
  ['a code', { code: 'ACTION_FAILED' }, [2]],
  ['a date', { since: '1970-01-01 00:50:00' }, [1, 4, 6]],
  ['several', { pipeline: 'web', since: '1970-01-01T00:30:00Z' }, [1, 2]],
  ['what is not there', { pipeline: 'x' }, []],
]

describe('list', () => {
  test('shows count, first, last and a sample by pipeline, action and code', async () => {
    const path = await fileOf(lines)
    const { code, out } = await list(path)
    expect(code).toBe(0)
    expect(out).toMatch(/^pipeline +action +code +count +first +last\n/)
    expect(out).toMatch(
      /web +json +PARSE_FAILED +2 +1970-01-01 00:16:40 UTC +1970-01-01 00:50:00 UTC\n {2}why\n {2}t: {"n":3000}/,
    )
    expect(out).toMatch(/5 dead letters; 2 lines are no dead letters\n$/)
    const { out: json } = await list(path, {}, true)
    expect(JSON.parse(json)).toMatchObject({ letters: 5, unreadable: 2, groups: { length: 4 } })
  })

  test.each(filters)('counts those of %s', async (_, filter, meant) => {
    const { out } = await list(await fileOf(lines), filter, true)
    expect(JSON.parse(out)).toMatchObject({ letters: meant.length })
  })

  test('prints nothing that a terminal would act on', async () => {
    const evil = '\u001b]0;x\u0007\u009b31m\u202e\r\u2028\u007f\n'
    const path = await fileOf([
      letter(evil, evil, 1, { code: evil, reason: evil, tag: evil, record: { [evil]: evil } }),
    ])
    for (const json of [false, true]) {
      const { out } = await list(path, {}, json)
      expect(out).toContain('31m')
      expect(out).not.toMatch(/[^\n\P{Cc}]|[\p{Cf}\u2028\u2029]/u)
    }
  })

  test.each([
    ['a date that is none', { since: 'soon' }, /--since takes a date/],
    ['a file that is not there', {}, /there is no file/],
  ])('refuses %s with exit code 2', async (_, filter, message) => {
    const { code, err } = await list('/nowhere/dead.jsonl', filter)
    expect(err).toMatch(message)
    expect(code).toBe(2)
  })
})

describe('drop', () => {
  test.each(filters)('takes out those of %s, and leaves every other byte', async (_, filter, meant) => {
    // The last line is one that is being written.
    const path = await fileOf([...lines, '{"half'], '')
    const { code, out } = await drop(path, filter)
    expect(out).toContain(`: ${meant.length} dead letter`)
    expect(code).toBe(0)
    const kept = lines.filter((_, index) => !meant.includes(index))
    const end = meant.length === 0 ? '' : '\n'
    expect(await readFile(path, 'utf8')).toBe(`${[...kept, '{"half'].join('\n')}${end}`)
    expect((await readdir(join(path, '..'))).sort()).toEqual(['dead.jsonl', 'dead.jsonl-lock'])
  })

  test('wants to be told what to drop', async () => {
    const path = await fileOf(lines)
    expect(await drop(path, {})).toMatchObject({ code: 2, err: expect.stringContaining('--all') })
    expect(await linesOf(path)).toEqual(lines)
    expect(await drop(path, {}, true)).toEqual({
      code: 0,
      out: `${path}: 5 dead letters dropped, and 2 lines besides\n`,
      err: '',
    })
    expect(await linesOf(path)).toEqual([])
  })

  test('takes with --all what a crash has left of a letter', async () => {
    const path = await fileOf(['{"time":1,"pipe'])
    expect((await list(path)).out).toBe(`${path}: 0 dead letters; 1 line is no dead letter\n`)
    expect((await drop(path, { pipeline: 'web' })).out).toBe(`${path}: 0 dead letters dropped\n`)
    expect((await drop(path, {}, true)).out).toBe(`${path}: 0 dead letters dropped, and 1 line besides\n`)
    expect((await list(path)).out).toBe(`${path}: 0 dead letters\n`)
  })

  test('keeps mode, and a link to the file', async () => {
    const path = await fileOf(lines)
    const folder = join(path, '..')
    await mkdir(join(folder, 'real'))
    await rename(path, join(folder, 'real', 'letters'))
    const { symlink, chmod, lstat } = await import('node:fs/promises')
    await symlink('real/letters', path)
    await chmod(path, 0o604)
    await drop(path, { pipeline: 'web' })
    expect((await lstat(path)).isSymbolicLink()).toBe(true)
    expect((await stat(path)).mode & 0o777).toBe(0o604)
    expect(await linesOf(path)).toHaveLength(4)
  })

  test('waits for nobody: while another command changes the file, it says so', async () => {
    const path = await fileOf(lines)
    await withLetters(path, async () => {
      expect(await drop(path, { pipeline: 'web' })).toMatchObject({
        code: 1,
        err: expect.stringContaining('another command changes'),
      })
    })
    expect(await linesOf(path)).toEqual(lines)
  })

  test('a line that is too long for a letter stays', async () => {
    const path = await fileOf([])
    const { appendFile } = await import('node:fs/promises')
    const long = 'x'.repeat(70 * 1024 * 1024)
    await writeFile(path, `${lines[0]}\n${long}\n${lines[4]}\n`)
    await drop(path, { pipeline: 'web' })
    expect((await stat(path)).size).toBe(long.length + 1 + String(lines[4]).length + 1)
    await appendFile(path, `${lines[0]}\n`)
    expect(JSON.parse((await list(path, {}, true)).out)).toMatchObject({ letters: 2, unreadable: 1 })
  })

  /** Where a command may have been killed: what it left, and what the file then holds. */
  const killed: [string, (path: string, end: number) => Promise<void>, string[]][] = [
    ['while it wrote the new file', (path) => writeFile(`${path}.new`, 'half of i'), ['a', 'b', 'c']],
    ['before it put the new file in place', (path, end) => link(path, `${path}.before-${end}`), ['a', 'b', 'c']],
    [
      'before it had appended what came meanwhile',
      async (path, end) => {
        await copyFile(path, `${path}.before-${end}`)
        await writeFile(path, `${letter('a', 'x', 1)}\n`)
      },
      ['a', 'c'],
    ],
  ]

  test.each(killed)('after one that was killed %s, nothing is lost', async (_, leave, pipelines) => {
    const texts = ['a', 'b', 'c'].map((name) => letter(name, 'x', 1))
    const path = await fileOf(texts)
    await leave(path, Buffer.byteLength(texts.slice(0, 2).join('\n')) + 1)
    await drop(path, { pipeline: 'none' })
    const left = (await linesOf(path)).map((line) => (JSON.parse(line) as { pipeline: string }).pipeline)
    expect(left).toEqual(pipelines)
    expect((await readdir(join(path, '..'))).sort()).toEqual(['dead.jsonl', 'dead.jsonl-lock'])
  })

  test('loses no letter of a daemon that appends meanwhile', async () => {
    const folder = await scratchFolder()
    await writeFile(
      join(folder, 'count.js'),
      `
import { defineAction, z } from 'feedoo'
export const inputCount = defineAction({
  kind: 'input', name: 'input_count', summary: 'Counts.', params: z.strictObject({}), examples: [{ title: 'x', yaml: '', out: [] }],
  create: () => ({
    async run({ emit, signal }) {
      for (let n = 0; !signal.aborted; n++) await emit([{ tag: n % 2 ? 'odd' : 'even', timestamp: n, record: { n, log: 'x' } }], undefined, true)
    },
  }),
})
`,
    )
    const daemon = await Daemon.start(
      `plugins: [./count.js]
dead_letters: "{dir}/dead.jsonl"
pipelines:
  p:
    - { name: input_count }
    - { name: parser_json, label: odd, match: odd, on_error: dead_letter }
    - { name: parser_json, label: even, match: even, on_error: dead_letter }
`,
      folder,
    )
    const path = join(folder, 'dead.jsonl')
    let removed = 0
    for (let i = 0; i < 30; i++) {
      await vi.waitFor(
        async () => expect((await linesOf(path)).some((line) => line.includes('"odd"'))).toBe(true),
        patience,
      )
      removed += removeLines(path, ({ letter }) => letter?.action === 'odd')
    }
    daemon.signal('SIGTERM')
    expect(await daemon.exit()).toBe(0)
    expect(removed).toBeGreaterThanOrEqual(30)
    const even = (await linesOf(path))
      .map((line) => JSON.parse(line) as { action: string; record: { n: number } })
      .flatMap(({ action, record }) => (action === 'even' ? [record.n] : []))
    const last = Math.max(...even)
    expect([...new Set(even)].sort((a, b) => a - b)).toEqual(Array.from({ length: last / 2 + 1 }, (_, i) => 2 * i))
  })
})

/** A configuration whose letters are at `path`; its pipeline ends as soon as it has run. */
async function replayable(actions: string, texts: readonly string[], top = '') {
  const folder = await scratchFolder()
  const path = join(folder, 'dead.jsonl')
  const config = join(folder, 'feedoo.yaml')
  await writeFile(path, texts.map((text) => `${text}\n`).join(''))
  const input = '    - { name: input_dummy, tag: t, repeat: 3, data: { from: input } }\n'
  const yaml = `${top}dead_letters: "{dir}/dead.jsonl"\npipelines:\n  p:\n${input}${actions}\n`
  await writeFile(config, yaml.replaceAll('{dir}', folder))
  return { folder, path, config, yaml }
}

const archive = (name: string, more = '') => `    - { name: output_archive, path_template: "{dir}/${name}"${more} }\n`

async function archived(folder: string, name: string): Promise<unknown[]> {
  const text = await readFile(join(folder, name), 'utf8').catch(() => '')
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as unknown)
}

const both: [string, string][] = [
  ['without state', ''],
  ['with state', 'state_dir: "{dir}/state"\n'],
]

describe.each(both)('replay %s', (_, top) => {
  test('takes an event up at the action that could not handle it, and no action before', async () => {
    const actions = `    - { name: filter_rename, keys: { n: passed_again } }
    - { name: parser_json, mode: add }
${archive('out')}`
    const { folder, path, config } = await replayable(
      actions,
      [
        letter('p', 'parser_json', 10, { record: { log: '{"a":1}', n: 'long' } }).replace(
          '"long"',
          '18446744073709551615',
        ),
        letter('p', 'parser_json', 11, { record: { log: '{"a":2}' }, metadata: { id: 7 } }),
      ],
      top,
    )
    expect(await replay(config)).toMatchObject({ code: 0, out: expect.stringContaining('2 dead letters replayed\n') })
    expect(await readFile(path, 'utf8')).toBe('')
    expect(await readFile(join(folder, 'out'), 'utf8')).toContain('18446744073709551615')
    expect(await archived(folder, 'out')).toMatchObject([{ a: 1, n: 2 ** 64 }, { a: 2 }])
  })

  test('gives an output what it refused, and nobody else', async () => {
    const actions = `${archive('before')}    - { name: output_archive, path_template: "{dir}/{n}" }\n${archive('behind')}`
    const { folder, config } = await replayable(actions, [letter('p', 'output_archive', 10, { nth: 2 })], top)
    expect((await replay(config)).code).toBe(0)
    expect(await archived(folder, '10')).toEqual([{ n: 10 }])
    expect(await archived(folder, 'before')).toEqual([])
    expect(await archived(folder, 'behind')).toEqual([])
  })

  test('leaves in the file what fails again, with its new reason', async () => {
    const actions = `    - { name: parser_json, on_error: dead_letter }\n${archive('out')}`
    const texts = ['{"a":1}', 'broken', '{"a":2}'].map((log, n) =>
      letter('p', 'parser_json', n, { reason: 'old', record: { log } }),
    )
    const { folder, path, config } = await replayable(actions, texts, top)
    const { code, out } = await replay(config)
    expect(out).toContain('3 dead letters replayed; 1 dead letter came back')
    expect(code).toBe(1)
    expect(await archived(folder, 'out')).toEqual([{ a: 1 }, { a: 2 }])
    const left = (await linesOf(path)).map((line) => JSON.parse(line) as unknown)
    expect(left).toEqual([
      expect.objectContaining({ record: { log: 'broken' }, reason: expect.stringContaining('not valid JSON') }),
    ])
  })

  test('leaves what cannot be sent, and says why', async () => {
    const texts = [
      letter('gone', 'x', 1),
      letter('p', 'gone', 2),
      letter('p', 'output_archive', 3, { tag: 'other' }),
      letter('p', 'output_archive', 4, { record: undefined, record_text: '{' }),
      'no letter',
      letter('p', 'output_archive', 5),
    ]
    const { folder, path, config } = await replayable(archive('out', ', match: t'), texts, top)
    const { code, out } = await replay(config)
    expect(code).toBe(1)
    expect(out).toContain('1 dead letter replayed')
    for (const why of ['no pipeline gone', 'no action gone', 'not take the tag other', 'beginning of the record']) {
      expect(out).toContain(why)
    }
    expect(await archived(folder, 'out')).toEqual([{ n: 5 }])
    expect(await linesOf(path)).toEqual(texts.slice(0, 5))
  })

  test('sends only what the filters mean', async () => {
    const texts = [letter('p', 'output_archive', 1), letter('p', 'output_archive', 2, { code: 'OUTPUT_REJECTED' })]
    const { folder, path, config } = await replayable(archive('out'), texts, top)
    expect((await replay(config, { code: 'OUTPUT_REJECTED' })).code).toBe(0)
    expect(await archived(folder, 'out')).toEqual([{ n: 2 }])
    expect(await linesOf(path)).toEqual(texts.slice(0, 1))
  })

  test.each(['after_write', 'before_commit', 'after_commit', 'before_acknowledge'])(
    'killed at %s, it loses nothing, and sends nothing more than twice',
    async (point) => {
      const texts = Array.from({ length: 1200 }, (_, n) => letter('p', 'store', n))
      const { folder, path, config } = await replayable(archive('out', ', label: store'), texts, top)
      const dying = new Daemon(['dead-letters', 'replay', '-c', config], { env: { FEEDOO_CRASH: `${point}:2` } })
      expect(await dying.exit()).toBe('SIGKILL')
      expect(await linesOf(path)).toEqual(texts)
      const again = new Daemon(['dead-letters', 'replay', '-c', config])
      expect(await again.exit()).toBe(0)
      expect(await linesOf(path)).toEqual([])
      const times = new Map<number, number>()
      for (const { n } of (await archived(folder, 'out')) as { n: number }[]) times.set(n, (times.get(n) ?? 0) + 1)
      expect(times.size).toBe(1200)
      expect(Math.max(...times.values())).toBeLessThanOrEqual(2)
    },
  )

  test('told to stop while a target is away, it takes out what is safe', async () => {
    const actions = archive('away/{n}').replace('{dir}/away', '{dir}/file/below')
    const { folder, path, config } = await replayable(
      actions,
      [letter('p', 'output_archive', 1)],
      `shutdown_timeout: 1\n${top}`,
    )
    await writeFile(join(folder, 'file'), '')
    const waiting = new Daemon(['dead-letters', 'replay', '-c', config])
    await waiting.logged(/trying again/)
    waiting.signal('SIGTERM')
    expect(await waiting.exit()).toBe(1)
    expect(await linesOf(path)).toHaveLength(1)
    await rm(join(folder, 'file'))
    expect((await replay(config)).code).toBe(0)
    expect(await archived(folder, 'file/below/1')).toEqual([{ n: 1 }])
  })
})

test('replay goes through the rules as they were left, and they remember it', async () => {
  const actions = `    - { name: filter_frequency, match: t, tag: alert, query_key: user, num_events: 3, timeframe: 1000 }\n${archive('alerts', ', match: alert')}`
  const times = [
    letter('p', 'filter_frequency', 1),
    letter('p', 'filter_frequency', 2),
    letter('p', 'filter_frequency', 3),
  ]
  const texts = times.map((text) => text.replace(/"record":{/, '"record":{"user":"eve",'))
  const { folder, path, config } = await replayable(actions, texts.slice(0, 2), 'state_dir: "{dir}/state"\n')
  expect((await replay(config)).code).toBe(0)
  expect(await archived(folder, 'alerts')).toEqual([])
  await writeFile(path, `${texts[2]}\n`)
  expect((await replay(config)).code).toBe(0)
  expect(await archived(folder, 'alerts')).toHaveLength(1)
})

test('while a daemon runs the pipeline, replay refuses and changes nothing', async () => {
  const texts = [letter('p', 'output_archive', 1)]
  const { folder, path, config, yaml } = await replayable(archive('out'), texts, 'state_dir: "{dir}/state"\n')
  const daemon = await Daemon.start(yaml.replace('repeat: 3', 'repeat: -1, rate: 5'), folder)
  await daemon.logged(/runs p/)
  const { code, err } = await replay(config)
  expect(code).toBe(1)
  expect(err).toContain(`(${daemon.pid} on `)
  expect(await linesOf(path)).toEqual(texts)
  daemon.signal('SIGTERM')
  expect(await daemon.exit()).toBe(0)
})

test('letters that a SQLite output refused are rows once it takes them', async () => {
  const store = (fields: string) => `    - { name: output_sqlite, filename: "{dir}/db", table: t, fields: ${fields} }`
  const { folder, path, config, yaml } = await replayable(store('[from, missing]'), [], 'state_dir: "{dir}/state"\n')
  expect(await (await Daemon.start(yaml, folder)).exit()).toBe(1)
  expect(await linesOf(path)).toHaveLength(3)
  await writeFile(config, yaml.replace('[from, missing]', '[from]').replaceAll('{dir}', folder))
  expect(await replay(config)).toMatchObject({ code: 0 })
  const database = new Database(join(folder, 'db'), { readonly: true })
  expect(database.prepare('SELECT count(*) FROM t').pluck().get()).toBe(3)
  database.close()
})
