// One sequence of rotation at a time, with scans made by hand: what each rule at the top of newcomers.ts gives.
import {
  appendFileSync,
  copyFileSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import type { TailOptions } from '../../../src/core/files/tail.ts'
import { Driven, rotateWait } from './driven.ts'
import { numbered, scratch, text } from './tailing.ts'

const short = numbered('short', 0, 9)
const long = numbered('long', 0, 500)
const other = numbered('other', 0, 600)

async function start(glob: string, lines: readonly string[], more: Partial<TailOptions> = {}) {
  const dir = await scratch()
  const log = join(dir, 'app.log')
  writeFileSync(log, text(lines))
  const tail = new Driven(dir, glob, more)
  expect(await tail.next()).toEqual(lines)
  return { dir, log, tail }
}

function copyTruncate(log: string, to = `${log}.1`): void {
  copyFileSync(log, to)
  truncateSync(log)
}

function positions(tail: Driven): { key: string }[] {
  const files = [...tail.positions].filter(([id]) => id !== 'started')
  return files.map(([, position]) => ({ key: '', ...(position as object) }))
}

/** Closed after each scan, or kept open. */
const closings: [string, Partial<TailOptions>][] = [
  ['closed', { idleTimeout: 0 }],
  ['open', {}],
]

describe.each(closings)('of a file that is %s', (_name, more) => {
  it.each(['*', '*.log'])('finds the few lines after copytruncate and a rename, with %s', async (glob) => {
    const { log, tail } = await start(glob, long, more)
    copyTruncate(log)
    appendFileSync(log, text(short))
    renameSync(`${log}.1`, `${log}.2`)
    renameSync(log, `${log}.1`)
    writeFileSync(log, '')
    // What nobody has held open cannot be told from other files when its name does not match.
    expect(await tail.rest()).toEqual(glob === '*' || more.idleTimeout === undefined ? short : [])
  })

  it.each(['*', '*.log'])('finds in the copy what it had not read before the truncation, with %s', async (glob) => {
    const { log, tail } = await start(glob, long, more)
    appendFileSync(log, text(other))
    copyTruncate(log)
    appendFileSync(log, text(short))
    expect(await tail.rest()).toEqual([...other, ...short])
  })

  it.each(['*', '*.log'])('finds its copy when it is truncated and gets quite another name, with %s', async (glob) => {
    const { dir, log, tail } = await start(glob, long, more)
    appendFileSync(log, text(other))
    copyTruncate(log)
    appendFileSync(log, text(short))
    renameSync(log, join(dir, 'elsewhere.log'))
    expect((await tail.rest()).sort()).toEqual([...other, ...short].sort())
  })

  it.each([
    // The bytes before the offset are the same, or the beginning is.
    ['another beginning', text(other).slice(0, text(long).length - 256) + text(long).slice(-256) + text(short)],
    ['another end', text(long).slice(0, 2000) + text(other)],
  ])('reads from 0 what stands in its inode with %s', async (_what, content) => {
    const { log, tail } = await start('*', long, more)
    const { ino } = statSync(log)
    writeFileSync(log, content)
    expect(statSync(log).ino).toBe(ino)
    expect(text(await tail.rest())).toBe(content)
  })

  it('goes on after truncation when it has grown past the old offset', async () => {
    const { log, tail } = await start('*', short, more)
    truncateSync(log)
    appendFileSync(log, text(other))
    expect(await tail.rest()).toEqual(other)
  })

  it.each([
    ['longer', other],
    ['shorter', short],
  ])('reads %s content of the same inode from 0 after a restart', async (_what, lines) => {
    const { log, tail } = await start('*', long, more)
    await tail.stop()
    writeFileSync(log, text(lines))
    expect(await tail.rest()).toEqual(lines)
    await tail.stop()
    expect(await tail.rest()).toEqual([])
  })

  it.each([
    ['as it is left', false],
    ['as an older release, or a crash, left it', true],
  ])('goes on in an inode that has held two contents, with the state %s', async (_how, crashed) => {
    const { log, tail } = await start('*', long, more)
    writeFileSync(log, text(other))
    expect(await tail.next()).toEqual(other)
    await tail.stop()
    const keys = positions(tail).map(({ key }) => key)
    expect(keys).toEqual(['', expect.stringMatching(/^\d+:\d+$/)])
    if (crashed) tail.positions.set('1', { ...positions(tail)[0], key: keys[1] ?? '' })
    appendFileSync(log, text(short))
    expect(await tail.rest()).toEqual(short)
  })
})

it.each([
  ['the first lines only', 100],
  ['all but the last line', 499],
])('reads on from the offset in a copy that was seen when it had %s', async (_what, lines) => {
  const { log, tail } = await start('*', long)
  const bytes = readFileSync(log)
  writeFileSync(`${log}.1`, bytes.subarray(0, text(long.slice(0, lines)).length - 3))
  await tail.settle()
  appendFileSync(log, text(short))
  writeFileSync(`${log}.1`, readFileSync(log))
  truncateSync(log)
  appendFileSync(log, text(other))
  expect(await tail.rest()).toEqual([...short, ...other])
})

it('takes the copy of a file that was never read for what it is', async () => {
  const { log, tail } = await start('*', [])
  await tail.scan()
  appendFileSync(log, text(short))
  copyFileSync(log, `${log}.1`)
  expect(await tail.next()).toEqual(short)
  truncateSync(log)
  appendFileSync(log, text(long))
  expect(await tail.rest()).toEqual(long)
})

it.each([
  ['short', short],
  ['long', long],
])('does not read a copy of a %s file again while the file goes on, nor when it ends', async (_name, lines) => {
  const { log, tail } = await start('*', lines)
  copyFileSync(log, `${log}.bak`)
  expect(await tail.rest()).toEqual([])
  appendFileSync(log, text(other))
  expect(await tail.rest()).toEqual(other)
  rmSync(log)
  expect(await tail.rest()).toEqual([])
})

it('reads a file that begins as another, as soon as it goes on otherwise', async () => {
  const { log, tail } = await start('*', ['#header', ...short])
  writeFileSync(`${log}-20260131`, '#header\n')
  expect(await tail.rest()).toEqual([])
  appendFileSync(`${log}-20260131`, text(long))
  expect(await tail.rest()).toEqual(['#header', ...long])
})

it('finds a compressed copy beside the plain one, which is deleted later', async () => {
  const { log, tail } = await start('*', long)
  renameSync(log, `${log}.1`)
  writeFileSync(log, '')
  appendFileSync(`${log}.1`, text(other))
  const bytes = gzipSync(readFileSync(`${log}.1`))
  for (const part of [0, 10, 2000, bytes.length]) {
    writeFileSync(`${log}.1.gz`, bytes.subarray(0, part))
    await tail.scan(part === 2000 ? 3 * rotateWait : 1)
  }
  expect(tail.take()).toEqual(other)
  await tail.settle()
  rmSync(`${log}.1`)
  expect(await tail.rest()).toEqual([])
  renameSync(`${log}.1.gz`, `${log}.2.gz`)
  expect(await tail.rest()).toEqual([])
  expect(tail.deadLetters).toEqual([])
})

it.each([
  ['longer', other, 'finished'],
  ['shorter', short, 'finished'],
  ['longer', other, 'open'],
  ['shorter', short, 'open'],
])('reads a compressed file that is overwritten with %s content', async (_what, lines, when) => {
  const dir = await scratch()
  const file = join(dir, 'a.gz')
  writeFileSync(file, gzipSync(text(long)))
  const tail = new Driven(dir, '*')
  expect(await (when === 'open' ? tail.next() : tail.rest())).toEqual(long)
  writeFileSync(file, gzipSync(text(lines)))
  expect(await tail.rest()).toEqual(lines)
  expect(tail.deadLetters).toEqual([])
})

it('reads a short new file at once beside compressed ones of other content', async () => {
  const { log, tail } = await start('*', [])
  writeFileSync(`${log}.1.gz`, gzipSync(text(long)))
  expect(await tail.rest()).toEqual(long)
  writeFileSync(`${log}.1`, text(short))
  expect(await tail.next()).toEqual(short)
})

it('takes what is copied into a file that was empty for a copy', async () => {
  const { log, tail } = await start('*', short, { idleTimeout: 0 })
  writeFileSync(`${log}.1`, '')
  await tail.settle()
  expect(positions(tail)).toHaveLength(1)
  copyFileSync(log, `${log}.1`)
  expect(await tail.rest()).toEqual([])
  truncateSync(log)
  appendFileSync(log, text(long))
  expect(await tail.rest()).toEqual(long)
})

it('reads a file of a related name that has the same beginning and another end', async () => {
  const { log, tail } = await start('*', long)
  writeFileSync(`${log}-x`, text([...long.slice(0, 200), ...short]))
  expect(await tail.rest()).toEqual([...long.slice(0, 200), ...short])
})

it('looks at a file whose copy shows that it has changed, though size and time do not', async () => {
  const dir = await scratch()
  const log = join(dir, 'app.log')
  const same = numbered('LONG', 0, 500)
  writeFileSync(log, text(long))
  utimesSync(log, 1, 1)
  const tail = new Driven(dir, '*')
  expect(await tail.rest()).toEqual(long)
  copyFileSync(log, `${log}.1`)
  writeFileSync(log, text(same))
  utimesSync(log, 1, 1)
  expect(await tail.rest()).toEqual(same)
})

it('reads a compressed file once that grows while it is read', async () => {
  const dir = await scratch()
  const file = join(dir, 'a.gz')
  const bytes = gzipSync(text(long))
  writeFileSync(file, bytes.subarray(0, 300))
  let grown = false
  const tail = new Driven(dir, '*', {
    matches: (path) => {
      // Between two of its pieces, and after the scan has seen its size.
      if (!grown) setImmediate(() => appendFileSync(file, bytes.subarray(300)))
      grown = true
      return path.endsWith('.gz')
    },
  })
  expect(await tail.rest()).toEqual(long)
})

it.each(['x.log', 'x.log.gz'])('reads %s that got the inode of a file of the other kind', async (name) => {
  const dir = await scratch()
  const path = join(dir, name)
  const old = join(dir, name.endsWith('.gz') ? 'y.log' : 'y.log.gz')
  writeFileSync(old, name.endsWith('.gz') ? text(long) : gzipSync(text(long)))
  const tail = new Driven(dir, '*')
  expect(await tail.rest()).toEqual(long)
  await tail.stop()
  // The same inode, as when a file system gives it out again.
  writeFileSync(old, name.endsWith('.gz') ? gzipSync(text(other)) : text(other))
  renameSync(old, path)
  expect(await tail.rest()).toEqual(other)
  expect(tail.deadLetters).toEqual([])
})

it.each([
  ['renamed', 'app.log.1'],
  ['renamed and named as before', 'app.log'],
])('reads what was appended to a file that is %s between scan and reading', async (_what, name) => {
  const { dir, log, tail } = await start('*', short, { idleTimeout: 0 })
  appendFileSync(log, text(long))
  const now = tail.clock.now.bind(tail.clock)
  let calls = 0
  tail.clock.now = () => {
    if (++calls === 2) renameSync(log, join(dir, 'away'))
    return now()
  }
  expect(await tail.next()).toEqual([])
  renameSync(join(dir, 'away'), join(dir, name))
  expect(await tail.rest()).toEqual(long)
})
