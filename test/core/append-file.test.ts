import { execFileSync } from 'node:child_process'
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Json, OtherMarks, Position } from '../../src/core/action.ts'
import { AppendFile } from '../../src/core/append-file.ts'
import { AppendFiles } from '../../src/core/append-files.ts'
import { mountSmallDisk } from '../helpers/small-disk.ts'

let folder = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'feedoo-append-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

const read = (path: string) => readFileSync(path, 'utf8')

/** The paths of the files that this process has open. */
function openFiles(): string[] {
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`)
    } catch {
      // Of the reading itself.
      return []
    }
  })
}

describe('a file', () => {
  test('is made with its folders, and knows its length in bytes', async () => {
    const path = join(folder, 'a/b/c.log')
    const file = new AppendFile(path)
    expect(file.length).toBe(0)
    file.append(['é'])
    file.append(['b'])
    await file.sync()
    expect(file.length).toBe(5)
    expect(read(path)).toBe('é\nb\n')
    expect(statSync(path).mode & 0o777 & ~0o640).toBe(0)
    file.close()
  })

  test('goes on behind what is there, and its head is not written again', () => {
    const path = join(folder, 'a')
    for (const line of ['1', '2']) {
      const file = new AppendFile(path)
      file.append([line], 'head\n')
      file.append([line], 'head\n')
      file.close()
    }
    expect(read(path)).toBe('head\n1\n1\n2\n2\n')
  })

  test('ends half a line that was left in it before it goes on', () => {
    const path = join(folder, 'a')
    writeFileSync(path, '{"half')
    const file = new AppendFile(path)
    file.append(['1'])
    file.append(['2'])
    expect(read(path)).toBe('{"half\n1\n2\n')
    file.close()
  })

  test('takes in what another process has appended, and what it has cut off', () => {
    const path = join(folder, 'a')
    const file = new AppendFile(path)
    file.append(['1'])
    appendFileSync(path, 'other\n')
    file.append(['2'])
    expect([read(path), file.length]).toEqual(['1\nother\n2\n', 10])
    writeFileSync(path, '')
    file.append(['3'], 'head\n')
    expect([read(path), file.length]).toEqual(['head\n3\n', 7])
    file.close()
  })

  test('can be synced while it is closed, and after', async () => {
    const file = new AppendFile(join(folder, 'a'))
    file.append(['1'])
    const syncing = file.sync()
    file.close()
    await syncing
    await file.sync()
    rmSync(file.path)
    await file.sync()
    expect(existsSync(file.path)).toBe(false)
  })

  test.skipIf(process.platform !== 'linux')(
    'is found for the sync when it was closed and renamed before it',
    async () => {
      const file = new AppendFile(join(folder, 'a'))
      file.append(['1'])
      file.close()
      renameSync(file.path, `${file.path}.1`)
      writeFileSync(file.path, 'another')
      const syncing = file.sync()
      expect(openFiles().filter((path) => path.startsWith(folder))).toEqual([`${file.path}.1`])
      await syncing
    },
  )

  test.each(['a folder', 'below a file'])('that is %s is unavailable for now', (what) => {
    writeFileSync(join(folder, 'file'), '')
    const path = what === 'a folder' ? folder : join(folder, 'file/x')
    const { code, retriable, message } = failure(() => new AppendFile(path))
    expect([code, retriable]).toEqual(['OUTPUT_UNAVAILABLE', true])
    expect(message).toContain(path)
  })

  test('that is a pipe or a device is refused, and opening it does not wait for a reader', () => {
    const pipe = join(folder, 'pipe')
    execFileSync('mkfifo', [pipe])
    for (const path of [pipe, '/dev/full']) {
      expect(failure(() => new AppendFile(path))).toMatchObject({ code: 'OUTPUT_REJECTED', retriable: false })
    }
  })
})

describe('many files', () => {
  /** Names of the files below the folder that this process has open. */
  const openNow = () =>
    readdirSync('/proc/self/fd')
      .map((fd) => {
        try {
          return readlinkSync(`/proc/self/fd/${fd}`)
        } catch {
          // The descriptor with which the folder was read.
          return ''
        }
      })
      .filter((path) => path.startsWith(folder))
      .map((path) => path.slice(folder.length + 1))
      .sort()

  test('are closed beyond the limit, the least recently used first, and lose nothing', async () => {
    const files = new AppendFiles({ maxOpen: 2 })
    for (const name of ['a', 'b', 'a', 'c', 'a', 'b', 'c']) files.append(join(folder, name), [name])
    if (process.platform === 'linux') expect(openNow()).toEqual(['b', 'c'])
    files.append(join(folder, 'b'), ['b'])
    files.append(join(folder, 'd'), ['d'])
    if (process.platform === 'linux') expect(openNow()).toEqual(['b', 'd'])
    await files.sync()
    files.close()
    if (process.platform === 'linux') expect(openNow()).toEqual([])
    const texts = ['a', 'b', 'c', 'd'].map((name) => read(join(folder, name)))
    expect(texts).toEqual(['a\na\na\n', 'b\nb\nb\n', 'c\nc\n', 'd\n'])
  })

  test('that are removed are made again, with their head', async () => {
    const files = new AppendFiles({ maxOpen: 10, head: 'head\n' })
    const path = join(folder, 'x/a')
    files.append(path, ['1'])
    rmSync(join(folder, 'x'), { recursive: true })
    files.append(path, ['2'])
    await files.sync()
    expect(read(path)).toBe('head\n2\n')
    files.close()
  })

  describe('of a pipeline with durable state', () => {
    interface Options {
      maxOpen?: number
      /** What other outputs have marked. */
      others?: OtherMarks
    }

    /** Files whose marks are kept as a state keeps them. */
    function durable(saved: Map<string, Json>, { maxOpen = 10, others }: Options = {}) {
      const intents: string[] = []
      const save = (marks: Position) => {
        for (const path of Object.keys(marks)) {
          if (marks[path] === null) saved.delete(path)
          else saved.set(path, marks[path] ?? null)
        }
      }
      const files = new AppendFiles({
        maxOpen,
        intend: (marks) => {
          intents.push(...namesIn(Object.values(marks)))
          save(marks)
        },
      })
      files.recover(saved, others)
      return { files, intents, commit: () => save(files.mark()), end: () => files.lastingMarks() }
    }

    const namesIn = (marks: Iterable<Json>) =>
      [...marks].map((mark) => JSON.stringify(mark).replace(/^.*"path":"[^"]*?([^/"]*)".*$/, '$1'))
    const identityIn = (saved: Map<string, Json>) => [...saved.keys()][0] ?? ''

    test('are cut to what they held at the last commit, also those that were not there then', () => {
      const saved = new Map<string, Json>()
      writeFileSync(join(folder, 'old'), 'before\n')
      const { files, commit } = durable(saved)
      files.append(join(folder, 'a'), ['1'])
      commit()
      for (const name of ['a', 'old', 'new']) files.append(join(folder, name), ['lost'])
      files.close()
      durable(saved).files.close()
      expect(['a', 'old', 'new'].map((name) => read(join(folder, name)))).toEqual(['1\n', 'before\n', ''])
    })

    test('are cut the same way when they were closed and opened again since', () => {
      const saved = new Map<string, Json>()
      const { files, commit, intents } = durable(saved, { maxOpen: 1 })
      const write = (name: string, text: string) => files.append(join(folder, name), [text])
      write('a', '1')
      write('b', '1')
      commit()
      for (const name of ['a', 'b', 'a', 'b', 'a']) write(name, 'lost')
      files.close()
      durable(saved).files.close()
      expect(['a', 'b'].map((name) => read(join(folder, name)))).toEqual(['1\n', '1\n'])
      expect(intents).toEqual(['a', 'b'])
    })

    test('need no mark any more once they were idle for a commit', () => {
      const saved = new Map<string, Json>()
      const { files, commit, intents } = durable(saved, { maxOpen: 1 })
      const write = (name: string) => files.append(join(folder, name), [name])
      for (const name of ['a', 'b', 'c']) write(name)
      commit()
      expect(namesIn(saved.values())).toEqual(['a', 'b', 'c'])
      commit()
      expect([...saved.keys()]).toEqual([])
      write('a')
      files.close()
      durable(saved).files.close()
      expect(read(join(folder, 'a'))).toBe('a\n')
      expect(intents).toEqual(['a', 'b', 'c', 'a'])
    })

    test('that were moved away within their folder are cut there, and what has taken their place is left alone', () => {
      const saved = new Map<string, Json>()
      const { files, commit } = durable(saved)
      files.append(join(folder, 'a'), ['1'])
      commit()
      files.append(join(folder, 'a'), ['2'])
      files.close()
      renameSync(join(folder, 'a'), join(folder, 'a.1'))
      writeFileSync(join(folder, 'a'), 'another\n')
      durable(saved).files.close()
      expect([read(join(folder, 'a')), read(join(folder, 'a.1'))]).toEqual(['another\n', '1\n'])
    })

    test('are announced once as long as they are written to in each commit', () => {
      const { files, commit, intents } = durable(new Map())
      for (let i = 0; i < 5; i++) {
        files.append(join(folder, 'a'), ['1'])
        commit()
      }
      expect(intents).toEqual(['a'])
    })

    test('are announced all at once, and but once, when it is known which will be written to', () => {
      const calls: number[] = []
      const files = new AppendFiles({ maxOpen: 3, intend: (marks) => void calls.push(Object.keys(marks).length) })
      const paths = ['a', 'b', 'c', 'd'].map((name) => join(folder, name))
      files.announce([folder, ...paths.slice(0, 3)])
      expect(calls).toEqual([3])
      // The fourth is beyond the files that may be open.
      files.announce(paths)
      for (const path of paths) files.append(path, ['1'])
      expect(calls).toEqual([3, 1])
      files.close()
    })

    test('that were moved, and closed to make room, are cut there, and so is the file that has their name now', () => {
      const saved = new Map<string, Json>()
      const { files, commit } = durable(saved, { maxOpen: 1 })
      const write = (name: string, text: string) => files.append(join(folder, name), [text])
      write('a', '1')
      commit()
      write('a', 'lost')
      renameSync(join(folder, 'a'), join(folder, 'a.1'))
      for (const name of ['b', 'a']) write(name, 'lost')
      files.close()
      durable(saved).files.close()
      expect(['a.1', 'a', 'b'].map((name) => read(join(folder, name)))).toEqual(['1\n', '', ''])
    })

    test('that have the inode of a file that is gone, and were born later, are left alone', () => {
      writeFileSync(join(folder, 'b'), 'a line of another program\n')
      const { ino } = statSync(join(folder, 'b'))
      const saved = new Map([[`${ino}:1600000000000000000`, { path: join(folder, 'a'), length: 2 }]])
      durable(saved).files.close()
      expect(read(join(folder, 'b'))).toBe('a line of another program\n')
    })

    test('that somebody empties are announced anew, and cut to what they held since', () => {
      const saved = new Map<string, Json>()
      const { files, commit } = durable(saved)
      const path = join(folder, 'a')
      files.append(path, ['committed 1', 'committed 2'])
      commit()
      truncateSync(path)
      files.append(path, ['lost 1', 'lost 2', 'lost 3'])
      files.close()
      durable(saved).files.close()
      expect(read(path)).toBe('')
    })

    test('that were not written to since the last commit but one keep what others have appended', () => {
      const saved = new Map<string, Json>()
      const { files, commit } = durable(saved)
      files.append(join(folder, 'a'), ['1'])
      commit()
      commit()
      appendFileSync(join(folder, 'a'), 'other\n')
      files.close()
      durable(saved).files.close()
      expect(read(join(folder, 'a'))).toBe('1\nother\n')
    })

    test('are cut at a mark once: a second start leaves alone what has come since', () => {
      const saved = new Map<string, Json>()
      const { files, commit } = durable(saved)
      files.append(join(folder, 'a'), ['1'])
      commit()
      files.close()
      const second = durable(saved)
      second.commit()
      expect([...saved]).toEqual([])
    })

    test('are cut by marks of the former kind, which know the inode and nothing else', () => {
      for (const name of ['a', 'b']) writeFileSync(join(folder, name), 'committed\nlost\n')
      const inode = (name: string) => statSync(join(folder, name)).ino
      const saved = new Map<string, Json>([
        [join(folder, 'a'), { length: 10, inode: inode('a') }],
        [join(folder, 'b'), { length: 10, inode: inode('a') }],
      ])
      const { commit } = durable(saved)
      expect(['a', 'b'].map((name) => read(join(folder, name)))).toEqual(['committed\n', 'committed\nlost\n'])
      commit()
      expect([...saved]).toEqual([])
    })

    test('that another output of the pipeline has marked too are cut to what both have committed', () => {
      const saved = [new Map<string, Json>(), new Map<string, Json>()] as const
      const beside = (other: Map<string, Json>): OtherMarks => ({
        here: (key) => [...other].flatMap(([name, mark]) => (name === key ? mark : [])),
        elsewhere: () => undefined,
      })
      const one = durable(saved[0], { others: beside(saved[1]) })
      const two = durable(saved[1], { others: beside(saved[0]) })
      const path = join(folder, 'a')
      const commit = () => {
        one.commit()
        two.commit()
      }
      one.files.append(path, ['1'])
      commit()
      two.files.append(path, ['2'])
      commit()
      two.files.append(path, ['lost'])
      // Idle until now: what it finds in the file is not all committed.
      one.files.append(path, ['lost'])
      for (const { files } of [one, two]) files.close()
      durable(saved[0], { others: beside(saved[1]) })
      durable(saved[1], { others: beside(saved[0]) })
      expect(read(path)).toBe('1\n2\n')
    })

    describe('that another pipeline writes to as well', () => {
      const elsewhere = (marks: Map<string, Json>): OtherMarks => ({
        here: () => [],
        elsewhere: () => new Map([...marks].map(([key, mark]) => [key, [{ mark, state: '/other.sqlite' }]])),
      })

      test('are not cut while it has a mark', () => {
        const saved = new Map<string, Json>()
        const { files } = durable(saved)
        files.append(join(folder, 'a'), ['1'])
        files.close()
        durable(saved, { others: elsewhere(new Map(saved)) }).files.close()
        expect(read(join(folder, 'a'))).toBe('1\n')
      })

      test('keep a mark, also at a clean end, that tells the other pipeline so, until it cannot cut any more', () => {
        const saved = new Map<string, Json>()
        const other = new Map<string, Json>()
        const { files, commit, end } = durable(saved, { others: elsewhere(other) })
        files.append(join(folder, 'a'), ['1'])
        const live = saved.get(identityIn(saved)) ?? null
        other.set(identityIn(saved), live)
        commit()
        commit()
        expect([...saved.values()]).toEqual([expect.objectContaining({ idle: true })])
        expect(Object.values(end())).toEqual([...saved.values()])
        // An idle mark cuts nothing.
        appendFileSync(join(folder, 'a'), 'other\n')
        durable(saved).files.close()
        expect(read(join(folder, 'a'))).toBe('1\nother\n')
        other.clear()
        expect(end()).toEqual({})
      })

      test('are left as they are when its state cannot be read', () => {
        const saved = new Map<string, Json>()
        const { files } = durable(saved)
        files.append(join(folder, 'a'), ['1'])
        files.close()
        const others = {
          here: () => [],
          elsewhere: () => {
            throw new Error('no')
          },
        }
        durable(saved, { others }).files.close()
        expect(read(join(folder, 'a'))).toBe('1\n')
      })
    })
  })

  test('that could not be synced are synced the next time', async () => {
    const files = new AppendFiles({ maxOpen: 1 })
    const path = join(folder, 'x/a')
    files.append(path, ['1'])
    // Closes the first; its folder is then a file, so that it cannot be opened to sync it.
    files.append(join(folder, 'b'), ['2'])
    rmSync(join(folder, 'x'), { recursive: true })
    writeFileSync(join(folder, 'x'), '')
    await expect(files.sync()).rejects.toMatchObject({ code: 'OUTPUT_UNAVAILABLE', retriable: true })
    await expect(files.sync()).rejects.toMatchObject({ code: 'OUTPUT_UNAVAILABLE' })
    rmSync(join(folder, 'x'))
    mkdirSync(join(folder, 'x'))
    await files.sync()
    files.close()
  })
})

const disk = mountSmallDisk(64)
afterAll(() => disk?.remove())

describe.skipIf(disk === undefined)('on a full disk (needs the right to mount one)', () => {
  const on = (name: string) => join(disk?.folder ?? '', name)
  const large = 'x'.repeat(9_999)

  test('a write that does not fit whole leaves nothing, and the same write works when there is room', () => {
    const file = new AppendFile(on('a'))
    file.append(['first'])
    writeFileSync(on('filler'), 'x'.repeat(50_000))
    expect(failure(() => file.append([large, large, large]))).toMatchObject({
      code: 'OUTPUT_UNAVAILABLE',
      retriable: true,
    })
    expect(failure(() => file.append([large, large, large])).message).toContain(`cannot write ${on('a')}: ENOSPC`)
    expect([read(on('a')), file.length]).toEqual(['first\n', 6])
    rmSync(on('filler'))
    file.append([large, large, large])
    expect([read(on('a')), file.length]).toEqual([`first\n${`${large}\n`.repeat(3)}`, 30_006])
    file.close()
  })
})

function failure(call: () => unknown): { code?: string; retriable?: boolean; message: string } {
  try {
    call()
  } catch (error) {
    if (error instanceof Error) return error
  }
  throw new Error('the call did not fail')
}
