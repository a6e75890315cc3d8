import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { Clock } from '../../../src/core/clock.ts'
import { readWordFile, WordFile } from '../../../src/core/rules/word-list-file.ts'
import { recordingLog } from '../../helpers/recording-log.ts'

/** A clock of one sleeper: `look` wakes it, and comes back when it sleeps again. */
class LookClock implements Clock {
  #wake: () => void = () => {}
  #asleep: () => void = () => {}
  #sleeping = new Promise<void>((resolve) => {
    this.#asleep = resolve
  })

  now(): number {
    return 0
  }

  sleep(_seconds: number, signal?: AbortSignal): Promise<void> {
    const wake = new Promise<void>((resolve) => {
      this.#wake = () => {
        signal?.removeEventListener('abort', this.#wake)
        resolve()
      }
      signal?.addEventListener('abort', this.#wake, { once: true })
    })
    this.#asleep()
    return wake
  }

  async look(times = 1): Promise<void> {
    for (let i = 0; i < times; i++) {
      await this.#sleeping
      this.#sleeping = new Promise((resolve) => {
        this.#asleep = resolve
      })
      this.#wake()
    }
    await this.#sleeping
  }
}

/** A list file, followed by a rule that uses the words as they are. */
function follow({ content = 'old\n', maxSize = 1_000_000 }: { content?: string | null; maxSize?: number } = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'feedoo-words-'))
  const path = join(folder, 'list.txt')
  if (content !== null) writeFileSync(path, content)
  const clock = new LookClock()
  const { log, lines } = recordingLog()
  const used: (readonly string[])[] = []
  /** What else ran between the steps in which the list was built. */
  const turns: number[] = []
  let turn = 0
  const file = new WordFile<readonly string[]>({
    path,
    maxSize,
    clock,
    log,
    *build(words) {
      for (let i = 0; i < words.length; i += 1000) {
        turns.push(turn)
        yield
      }
      return words
    },
    use: (words) => used.push(words),
  })
  onTestFinished(async () => {
    await file.close()
    rmSync(folder, { recursive: true, force: true })
  })
  const messages = () => lines.map(({ level, msg }) => `${level}: ${msg}`)
  const beside = () => {
    turn++
    besides = setImmediate(beside)
  }
  let besides = setImmediate(beside)
  onTestFinished(() => clearImmediate(besides))
  return { folder, path, clock, file, used, turns, messages }
}

describe('WordFile', () => {
  it('reads the list when it opens', async () => {
    const { file, used } = follow({ content: '\ufeff# list\r\none\r\n\r\ntwo' })
    await file.open()
    expect(used).toEqual([['one', 'two']])
  })

  it.each([
    { title: 'is missing', make: () => {}, reason: 'there is no such file' },
    { title: 'is a folder', make: (path: string) => mkdirSync(path), reason: 'it is a folder' },
    { title: 'is a pipe', make: (path: string) => execFileSync('mkfifo', [path]), reason: 'it is not a regular file' },
    {
      title: 'is too large',
      make: (path: string) => writeFileSync(path, 'x'.repeat(101)),
      reason: 'it is larger than 100 bytes: see max_list_size',
    },
  ])('does not open when the file $title', async ({ make, reason }) => {
    const { path, file } = follow({ content: null, maxSize: 100 })
    make(path)
    await expect(file.open()).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: `cannot read the list ${path}: ${reason}`,
    })
    expect(() => readWordFile(path, 100)).toThrow()
  })

  it.each([
    { title: 'written in place', change: (path: string) => writeFileSync(path, '# longer\nnew\n') },
    { title: 'written in place with the same length', change: (path: string) => writeFileSync(path, 'new\n') },
    {
      title: 'replaced by one of the same length and time',
      change: (path: string) => {
        writeFileSync(`${path}.new`, 'new\n')
        utimesSync(path, 1000, 1000)
        utimesSync(`${path}.new`, 1000, 1000)
        renameSync(`${path}.new`, path)
      },
    },
    {
      title: 'deleted and written again',
      change: (path: string) => {
        rmSync(path)
        writeFileSync(path, 'new\n')
      },
    },
    {
      title: 'replaced by a link',
      change: (path: string) => {
        writeFileSync(`${path}.target`, 'new\n')
        rmSync(path)
        symlinkSync(`${path}.target`, path)
      },
    },
  ])('reads a file again that was $title, once it has stood still', async ({ change }) => {
    const { path, clock, file, used, messages } = follow()
    await file.open()
    await clock.look(3)
    change(path)
    await clock.look()
    expect(used).toEqual([['old']])
    await clock.look()
    expect(used).toEqual([['old'], ['new']])
    await clock.look(3)
    expect(used).toHaveLength(2)
    expect(messages()).toEqual(['info: the list was read again'])
  })

  it('waits as long as a file is being written', async () => {
    const { path, clock, file, used } = follow()
    await file.open()
    for (const half of ['n', 'ne', 'new', 'new\nne', 'new\nnewer']) {
      writeFileSync(path, half)
      await clock.look()
    }
    expect(used).toEqual([['old']])
    await clock.look()
    expect(used).toEqual([['old'], ['new', 'newer']])
  })

  it('keeps the list while the file is away, says so once, and reads it when it is back', async () => {
    const { path, clock, file, used, messages } = follow()
    await file.open()
    rmSync(path)
    await clock.look()
    expect(messages()).toEqual([])
    await clock.look(4)
    expect(messages()).toEqual(['warn: the list stays as it was: cannot read its file: there is no such file'])
    writeFileSync(path, 'new\n')
    await clock.look(2)
    expect(used).toEqual([['old'], ['new']])
    rmSync(path)
    await clock.look(4)
    expect(messages().filter((line) => line.startsWith('warn'))).toHaveLength(2)
  })

  it('keeps the list while the file is too large, and says so once', async () => {
    const { path, clock, file, used, messages } = follow({ maxSize: 100 })
    await file.open()
    writeFileSync(path, 'x'.repeat(101))
    await clock.look(6)
    expect(used).toEqual([['old']])
    expect(messages()).toEqual([
      'warn: the list stays as it was: cannot read its file: it is larger than 100 bytes: see max_list_size',
    ])
  })

  it('takes an emptied file for an empty list, and says so', async () => {
    const { path, clock, file, used, messages } = follow()
    await file.open()
    writeFileSync(path, '# none\n')
    await clock.look(2)
    expect(used).toEqual([['old'], []])
    expect(messages()).toContain('warn: the list is empty')
  })

  it('says which lines it leaves out', async () => {
    const { path, file, used, messages } = follow()
    writeFileSync(path, Buffer.from('a\ncaf\xe9\n', 'latin1'))
    await file.open()
    expect(used).toEqual([['a']])
    expect(messages()).toEqual(['warn: line 2 of the list is not UTF-8 text and left out'])
  })

  it('gives everybody else a turn between two steps of a list that is read again', async () => {
    const { path, clock, file, used, turns } = follow()
    await file.open()
    writeFileSync(path, Array.from({ length: 20_000 }, (_, index) => `word ${index}\n`).join(''))
    turns.length = 0
    await clock.look(2)
    expect(used.at(-1)).toHaveLength(20_000)
    expect(turns).toHaveLength(20)
    expect(new Set(turns).size).toBe(20)
  })

  it('closes while it sleeps', async () => {
    const { path, file, used } = follow()
    await file.open()
    writeFileSync(path, 'new\n')
    await file.close()
    expect(used).toEqual([['old']])
  })
})
