import { execFileSync } from 'node:child_process'
import {
  appendFile,
  chmod,
  copyFile,
  link,
  mkdir,
  readdir,
  rename,
  rm,
  stat,
  symlink,
  truncate,
  unlink,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { describe, expect, it, vi } from 'vitest'
import { inputFile } from '../../../src/actions/input/input_file.ts'
import { numbered, scratch, tail, text } from '../../core/files/tailing.ts'

const a = numbered('a', 0, 50)
const b = numbered('b', 0, 50)
const c = numbered('c', 0, 50)

describe('input_file, once', () => {
  it.each<[string, string | Buffer, Record<string, unknown>, string[]]>([
    ['empty lines and a last line without newline', 'x\n\n\ny', {}, ['x', '', '', 'y']],
    ['line ends of Windows', 'x\r\n\r\ny\r\n', {}, ['x', '', 'y']],
    ['an empty file', '', {}, []],
    ['latin1', Buffer.from('caf\xe9\n', 'latin1'), { encoding: 'latin1' }, ['café']],
    [
      'utf-16le with a byte order mark',
      Buffer.from('\ufeffé\r\n😀\n', 'utf16le'),
      { encoding: 'utf-16le' },
      ['é', '😀'],
    ],
    ['bytes that are no utf-8', Buffer.from([0x61, 0xff, 0x0a]), {}, ['a\ufffd']],
    ['a key that is __proto__', '__proto__\n', {}, ['__proto__']],
  ])('reads %s', async (_name, content, params, lines) => {
    const dir = await scratch()
    await writeFile(join(dir, 'a.log'), content)
    const run = tail({ path_pattern: `${dir}/*.log`, once: true, ...params })
    await run.ended
    expect(run.lines()).toEqual(lines)
  })

  it('reads two hundred files, some in sub-folders, each in order', async () => {
    const dir = await scratch()
    const files = Array.from({ length: 200 }, (_, i) => numbered(`f${i}`, 0, 20 + (i % 7)))
    for (const [i, lines] of files.entries()) {
      const folder = join(dir, `d${i % 5}`, 'deep')
      await mkdir(folder, { recursive: true })
      await writeFile(join(folder, `${i}.log`), text(lines))
    }
    const run = tail({ path_pattern: `${dir}/*.log`, once: true, max_open_files: 10 })
    await run.ended
    for (const [i, lines] of files.entries()) {
      expect(run.lines().filter((line) => String(line).startsWith(`f${i} `))).toEqual(lines)
    }
  })

  it('reads compressed files of several members', async () => {
    const dir = await scratch()
    await writeFile(join(dir, 'x.gz'), Buffer.concat([gzipSync('1\n2'), gzipSync('3\n4')]))
    const run = tail({ path_pattern: `${dir}/*`, once: true })
    await run.ended
    expect(run.lines()).toEqual(['1', '23', '4'])
  })

  it('emits what a damaged file gives, sets one dead letter aside and reads the others', async () => {
    const dir = await scratch()
    const damaged = gzipSync(text(numbered('x', 0, 100_000)))
    await writeFile(join(dir, 'a.gz'), damaged.subarray(0, damaged.length - 50_000))
    await writeFile(join(dir, 'b.gz'), gzipSync(text(b)))
    await writeFile(join(dir, 'c.gz'), 'not gzip at all')
    const run = tail({ path_pattern: `${dir}/*.gz`, once: true })
    await run.ended
    const x = run.lines().filter((line) => String(line).startsWith('x'))
    expect(x.length).toBeGreaterThan(1000)
    expect(x).toEqual(numbered('x', 0, x.length))
    expect(run.lines().filter((line) => !String(line).startsWith('x'))).toEqual(b)
    expect(run.deadLetters()).toBe(2)
    const again = tail({ path_pattern: `${dir}/*.gz`, once: true }, run.positions)
    await again.ended
    expect([again.lines(), again.deadLetters()]).toEqual([[], 0])
  })

  it('emits the lines before a zstd checksum that differs, and sets one dead letter aside', async () => {
    const dir = await scratch()
    // `hello zstd`, newline, as the zstd command writes it, with its checksum at the end.
    const frame = Buffer.from('KLUv/QRYWQAAaGVsbG8genN0ZApsV/lR', 'base64')
    const damaged = Buffer.concat([frame.subarray(0, -1), Buffer.alloc(1)])
    await writeFile(join(dir, 'a.zst'), Buffer.concat([frame, damaged, frame]))
    await writeFile(join(dir, 'b.zst'), Buffer.concat([frame, frame]))
    const run = tail({ path_pattern: `${dir}/*.zst`, once: true, path_key: 'path' })
    await run.ended
    const linesOf = (name: string) => run.out.filter((event) => event.record.path === join(dir, name)).length
    expect([linesOf('a.zst'), linesOf('b.zst'), run.deadLetters()]).toEqual([2, 2, 1])
    expect(new Set(run.lines())).toEqual(new Set(['hello zstd']))
    const again = tail({ path_pattern: `${dir}/*.zst`, once: true }, run.positions)
    await again.ended
    expect([again.lines(), again.deadLetters()]).toEqual([[], 0])
  })

  it('passes over what cannot be read: folders, pipes, broken links, and reads linked files once', async () => {
    const dir = await scratch()
    await mkdir(join(dir, 'folder.log'))
    execFileSync('mkfifo', [join(dir, 'pipe.log')])
    await symlink(join(dir, 'nowhere'), join(dir, 'broken.log'))
    await writeFile(join(dir, 'a.log'), text(a))
    await symlink(join(dir, 'a.log'), join(dir, 'link.log'))
    await link(join(dir, 'a.log'), join(dir, 'hard.log'))
    await symlink(dir, join(dir, 'loop'))
    const run = tail({ path_pattern: `${dir}/*.log`, once: true })
    await run.ended
    expect(run.lines()).toEqual(a)
  })

  it('sends a line that is too long to the dead letters once, also over a restart', async () => {
    const dir = await scratch()
    const file = join(dir, 'a.log')
    await writeFile(file, `x\n${'y'.repeat(3_000_000)}`)
    const run = tail({ path_pattern: file })
    await vi.waitFor(() => expect(run.deadLetters()).toBe(1))
    await run.expect(['x'])
    await run.stop()
    const again = tail({ path_pattern: file }, run.positions)
    await appendFile(file, 'yyy\nz\n')
    await again.expect(['z'])
    expect(again.deadLetters()).toBe(0)
  })

  it('removes files when their events are safe, and names them in path_key', async () => {
    const dir = await scratch()
    await writeFile(join(dir, 'a.log'), 'x')
    const run = tail({ path_pattern: `${dir}/*.log`, once: true, remove: true, path_key: '__proto__' })
    await run.ended
    expect(Object.getOwnPropertyDescriptor(run.out[0]?.record, '__proto__')?.value).toBe(join(dir, 'a.log'))
    expect(await readdir(dir)).toEqual([])
    expect([...run.positions.keys()]).toEqual(['started'])
  })

  it('goes on where the last job ended', async () => {
    const dir = await scratch()
    const file = join(dir, 'a.log')
    await writeFile(file, text(a))
    await writeFile(`${file}.gz`, gzipSync(text(b)))
    const params = { path_pattern: `${dir}/*`, once: true }
    const first = tail(params)
    await first.ended
    expect(first.lines()).toHaveLength(100)
    await appendFile(file, text(c))
    // Touched, so that it has to be decoded again to see that nothing is new.
    await utimes(`${file}.gz`, 1, 1)
    const second = tail(params, first.positions)
    await second.ended
    expect(second.lines()).toEqual(c)
    await appendFile(`${file}.gz`, gzipSync('more\n'))
    const third = tail(params, second.positions)
    await third.ended
    expect(third.lines()).toEqual(['more'])
  })
})

describe('input_file, following', () => {
  it('holds half a line until it is finished, with a character that is cut in two', async () => {
    const dir = await scratch()
    const file = join(dir, 'a.log')
    const bytes = Buffer.from('x\nsmile 😀 end\n')
    await writeFile(file, bytes.subarray(0, 10))
    const run = tail({ path_pattern: file })
    await run.expect(['x'])
    await appendFile(file, bytes.subarray(10, 11))
    await appendFile(join(dir, 'a.log'), bytes.subarray(11))
    await run.expect(['x', 'smile 😀 end'])
  })

  it('finds new files in new sub-folders', async () => {
    const dir = await scratch()
    const run = tail({ path_pattern: `${dir}/*.log` })
    await mkdir(join(dir, 'x', 'y'), { recursive: true })
    await writeFile(join(dir, 'x', 'y', 'a.log'), text(a))
    await writeFile(join(dir, 'b.log'), text(b))
    await run.expect([...a, ...b])
  })

  it.each(['*.log', '*'])(
    'follows a rename with pattern %s, and reads the old file before the new one',
    async (glob) => {
      const dir = await scratch()
      const file = join(dir, 'app.log')
      await writeFile(file, text(a))
      const run = tail({ path_pattern: `${dir}/${glob}` })
      await run.expect(a)
      await appendFile(file, text(b))
      await rename(file, `${file}.1`)
      await writeFile(file, text(c))
      await run.expect([...a, ...b, ...c])
      expect(run.lines()).toEqual([...a, ...b, ...c])
    },
  )

  it.each(['app.log', '*'])(
    'follows copytruncate with pattern %s, and finds in the copy what it had not read',
    async (glob) => {
      const dir = await scratch()
      const file = join(dir, 'app.log')
      await writeFile(file, text(a))
      const run = tail({ path_pattern: `${dir}/${glob}` })
      await run.expect(a)
      await appendFile(file, text(b))
      await copyFile(file, `${file}.1`)
      await truncate(file)
      await appendFile(file, text([...c, ...c, ...c, ...c]))
      await run.expect([...a, ...b, ...c, ...c, ...c, ...c])
      expect(run.lines()).toEqual([...a, ...b, ...c, ...c, ...c, ...c])
    },
  )

  it('does not read a compressed copy again, and reads in it what had not been read', async () => {
    const dir = await scratch()
    const file = join(dir, 'app.log')
    await writeFile(file, text(a))
    const first = tail({ path_pattern: `${dir}/*` })
    await first.expect(a)
    await first.stop()
    await writeFile(`${file}.1.gz`, gzipSync(text([...a, ...b])))
    await rm(file)
    const second = tail({ path_pattern: `${dir}/*` }, first.positions)
    await second.expect(b)
    await rename(`${file}.1.gz`, `${file}.2.gz`)
    await writeFile(file, text(c))
    await second.expect([...b, ...c])
  })

  it('waits with a copy for as long as its original goes on', async () => {
    const dir = await scratch()
    const file = join(dir, 'app.log')
    await writeFile(file, text(a))
    const run = tail({ path_pattern: `${dir}/*`, rotate_wait: 0.05 })
    await run.expect(a)
    await copyFile(file, `${file}.bak`)
    await writeFile(join(dir, 'mark'), 'mark\n')
    await run.expect([...a, 'mark'])
    await appendFile(file, text(b))
    await run.expect([...a, 'mark', ...b])
  })

  it('reads files of the same content under other names, and a file that begins as another and goes on otherwise', async () => {
    const dir = await scratch()
    await writeFile(join(dir, 'a.log'), text(a))
    const run = tail({ path_pattern: `${dir}/*`, rotate_wait: 0.05 })
    await run.expect(a)
    await writeFile(join(dir, 'other.log'), text(a))
    await writeFile(join(dir, 'a.log-x'), text([...a, ...b]))
    await run.expect([...a, ...a, ...a, ...b])
  })

  it('tells a new file with an old inode from the old file', async () => {
    const dir = await scratch()
    const file = join(dir, 'a.log')
    await writeFile(file, text(a))
    const first = tail({ path_pattern: `${dir}/*` })
    await first.expect(a)
    await first.stop()
    // The same inode, other content: what a file system does that gives out a freed inode again.
    const { ino } = await stat(file)
    await writeFile(file, text(b))
    await rename(file, join(dir, 'b.log'))
    expect((await stat(join(dir, 'b.log'))).ino).toBe(ino)
    const second = tail({ path_pattern: `${dir}/*` }, first.positions)
    await second.expect(b)
  })

  it('starts at the end with from: end, at a line that is being written', async () => {
    const dir = await scratch()
    const file = join(dir, 'a.log')
    await writeFile(file, `${text(a)}half`)
    await writeFile(join(dir, 'z.gz'), gzipSync(text(b)))
    const run = tail({ path_pattern: `${dir}/*`, from: 'end' })
    await vi.waitFor(() => expect(run.positions.size).toBe(3))
    await appendFile(file, ' a line\nnext\n')
    await writeFile(join(dir, 'new.log'), text(c))
    await run.expect(['half a line', 'next', ...c])
  })

  it('emits the last line of a deleted file, and removes a followed file that is left alone', async () => {
    const dir = await scratch()
    await writeFile(join(dir, 'a.log'), 'x\nlast')
    const run = tail({ path_pattern: `${dir}/*`, rotate_wait: 0.05 })
    await run.expect(['x'])
    await unlink(join(dir, 'a.log'))
    await run.expect(['x', 'last'])
    await run.stop()
    await writeFile(join(dir, 'b.log'), 'y\nend')
    await writeFile(join(dir, 'b.gz'), gzipSync('z'))
    const removing = tail({ path_pattern: `${dir}/*`, remove: true, remove_after: 0.1, rotate_wait: 0.05 })
    await removing.expect(['y', 'end', 'z'])
    await vi.waitFor(async () => expect(await readdir(dir)).toEqual([]), { timeout: 10_000 })
  })

  it('stops at full speed with every line it read out, and goes on behind them', async () => {
    const dir = await scratch()
    const file = join(dir, 'a.log')
    const lines = numbered('x', 0, 300_000)
    await writeFile(file, text(lines))
    const run = tail({ path_pattern: file })
    await vi.waitFor(() => expect(run.out.length).toBeGreaterThan(0), { interval: 1 })
    await run.stop()
    const rest = tail({ path_pattern: file, once: true }, run.positions)
    await rest.ended
    // Not toEqual: it would take seconds to say that so many are equal.
    expect([...run.lines(), ...rest.lines()].join() === lines.join()).toBe(true)
  })

  it('closes idle files and opens them again when they change', async () => {
    const dir = await scratch()
    const files = Array.from({ length: 12 }, (_, i) => join(dir, `${i}.log`))
    for (const file of files) await writeFile(file, 'one\nha')
    const run = tail({ path_pattern: `${dir}/*`, idle_timeout: 0, max_open_files: 3 })
    await run.expect(files.map(() => 'one'))
    for (const file of files) await appendFile(file, 'lf\n')
    await run.expect(files.flatMap(() => ['one', 'half']))
  })

  it.skipIf(process.getuid?.() === 0)('goes on when a file may not be read', async () => {
    const dir = await scratch()
    await writeFile(join(dir, 'a.log'), text(a))
    await writeFile(join(dir, 'b.log'), text(b))
    await chmod(join(dir, 'a.log'), 0)
    const run = tail({ path_pattern: `${dir}/*` })
    await run.expect(b)
    await chmod(join(dir, 'a.log'), 0o600)
    await run.expect([...a, ...b])
  })
})

describe('the parameters of input_file', () => {
  it.each([
    [{ encoding: 'utf-99' }],
    [{ path_key: 'log' }],
    [{ path_pattern: '/x/[a' }],
    [{ max_line: 0 }],
    [{ max_open_files: 0 }],
    [{ from: 'middle' }],
    [{ unknown: 1 }],
  ])('refuse %j', (params) => {
    expect(inputFile.params.safeParse({ tag: 't', path_pattern: '/x/*', ...params }).success).toBe(false)
  })
})
