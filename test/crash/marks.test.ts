// Archive files that more than one output writes to, and marks that were left in the state: nothing committed is ever cut.
import { appendFileSync, existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import sqlite from 'better-sqlite3'
import { describe, expect, test } from 'vitest'
import { Daemon, scratchFolder } from '../helpers/daemon.ts'

const input = (tag: string) => `{name: input_file, tag: ${tag}, path_pattern: "{dir}/${tag}.log", from: start}`
const output = (label: string, match = '"*"') =>
  `{name: output_archive, label: ${label}, match: ${match}, path_template: "{dir}/all.jsonl"}`
const pipeline = (name: string, ...actions: string[]) =>
  `  ${name}:\n${actions.map((action) => `    - ${action}\n`).join('')}`
const yaml = (...pipelines: string[]) => `state_dir: "{dir}/state"\npipelines:\n${pipelines.join('')}`

const onePipeline = yaml(pipeline('main', input('a'), input('b'), output('one', 'a'), output('two', 'b')))
const twoPipelines = yaml(pipeline('main', input('a'), output('one')), pipeline('other', input('b'), output('two')))
const labelled = (label: string) => yaml(pipeline('main', input('a'), output(label)))

const numbers = (from: number, count: number) => Array.from({ length: count }, (_, i) => from + i)

class Site {
  readonly folder: string

  private constructor(folder: string) {
    this.folder = folder
  }

  static async make(): Promise<Site> {
    return new Site(await scratchFolder())
  }

  feed(tag: string, lines: readonly number[]): void {
    appendFileSync(join(this.folder, `${tag}.log`), lines.map((n) => `${n}\n`).join(''))
  }

  async start(text: string, crash?: string): Promise<Daemon> {
    return Daemon.start(text, this.folder, { env: crash === undefined ? {} : { FEEDOO_CRASH: crash } })
  }

  archived(): number[] {
    const file = join(this.folder, 'all.jsonl')
    if (!existsSync(file)) return []
    const lines = readFileSync(file, 'utf8').split('\n').slice(0, -1)
    return lines.map((line) => Number((JSON.parse(line) as { log: string }).log))
  }

  /** What each input has committed, in bytes, in the state of a pipeline. */
  committed(name = 'main'): number {
    return this.#rows(name, 'SELECT json FROM positions')
      .map(({ json }) => Number(/"offset":(\d+)/.exec(json)?.[1] ?? 0))
      .reduce((sum, bytes) => sum + bytes, 0)
  }

  marks(name = 'main'): number {
    return this.#rows(name, 'SELECT json FROM marks').length
  }

  #rows(name: string, sql: string): { json: string }[] {
    const file = join(this.folder, `state/${name}.sqlite`)
    if (!existsSync(file)) return []
    const database = sqlite(file, { readonly: true })
    try {
      return database.prepare<[], { json: string }>(sql).all()
    } finally {
      database.close()
    }
  }
}

/** The daemon tells nobody of a commit: its files are looked at. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await delay(20)
}

async function kill(daemon: Daemon): Promise<void> {
  daemon.signal('SIGKILL')
  expect(await daemon.exit()).toBe('SIGKILL')
}

async function end(daemon: Daemon): Promise<void> {
  daemon.signal('SIGTERM')
  expect(await daemon.exit(), daemon.stderr).toBe(0)
}

describe('two outputs with one file', { timeout: 60_000 }, () => {
  test.each([
    ['one pipeline', onePipeline, 'main'],
    ['two pipelines', twoPipelines, 'other'],
  ])('of %s: a kill takes nothing that one of them has committed', async (_, text, second) => {
    const site = await Site.make()
    site.feed('a', [0])
    const daemon = await site.start(text)
    await until(() => site.committed() > 0)
    site.feed('b', numbers(1, 1000))
    const bytes = numbers(second === 'main' ? 0 : 1, second === 'main' ? 1001 : 1000).join('\n').length + 1
    await until(() => site.committed(second) === bytes)
    await kill(daemon)
    const again = await site.start(text)
    await again.logged(/runs main/)
    await end(again)
    expect(site.archived().sort((a, b) => a - b)).toEqual(numbers(0, 1001))
  })

  test('of one pipeline: what neither has committed is cut and comes again, whoever wrote last', async () => {
    const site = await Site.make()
    site.feed('a', [0])
    const daemon = await site.start(onePipeline)
    await until(() => site.committed() > 0)
    await end(daemon)
    for (const point of ['before_commit', 'after_intend', 'after_sync', 'before_commit']) {
      const next = site.archived().length
      site.feed('a', numbers(next, 10))
      site.feed('b', numbers(next + 10, 10))
      const killed = await site.start(onePipeline, `${point}:1`)
      expect(await killed.exit(), killed.stderr).toBe('SIGKILL')
      const again = await site.start(onePipeline)
      await again.logged(/runs main/)
      await until(() => site.archived().length >= next + 20)
      await end(again)
    }
    expect(site.archived().sort((a, b) => a - b)).toEqual(numbers(0, 81))
  })
})

describe('a state file that no other pipeline has', { timeout: 60_000 }, () => {
  test('such as a backup, or that of a pipeline that has another name now, keeps nothing from being cut', async () => {
    const site = await Site.make()
    const named = (name: string) => yaml(pipeline(name, input('a'), output('one')))
    site.feed('a', [0])
    const before = await site.start(named('before'), 'before_acknowledge:1')
    expect(await before.exit(), before.stderr).toBe('SIGKILL')
    expect(site.marks('before')).toBe(1)
    const state = (name: string) => join(site.folder, `state/${name}.sqlite`)
    const original = sqlite(state('before'), { readonly: true })
    await original.backup(state('backup'))
    original.close()
    const first = await site.start(named('main'))
    await until(() => site.archived().length === 2)
    await end(first)
    site.feed('a', numbers(1, 10))
    const killed = await site.start(named('main'), 'before_commit:1')
    expect(await killed.exit(), killed.stderr).toBe('SIGKILL')
    const again = await site.start(named('main'))
    await until(() => site.archived().length >= 12 && site.marks() === 0)
    await end(again)
    expect(site.archived()).toEqual([0, ...numbers(0, 11)])
  })
})

describe('marks that a kill has left', { timeout: 60_000 }, () => {
  test('of an output that the configuration no longer has, and has again later, do not cut what came meanwhile', async () => {
    const site = await Site.make()
    site.feed('a', [0])
    const killed = await site.start(labelled('one'), 'before_acknowledge:1')
    expect(await killed.exit(), killed.stderr).toBe('SIGKILL')
    const two = await site.start(labelled('two'))
    site.feed('a', numbers(1, 1000))
    await until(() => site.archived().length === 1001)
    await end(two)
    expect(site.marks()).toBe(0)
    const one = await site.start(labelled('one'))
    await one.logged(/runs main/)
    await end(one)
    expect(site.archived()).toEqual(numbers(0, 1001))
  })

  test('of an output that the configuration no longer has still cut what comes again', async () => {
    const site = await Site.make()
    site.feed('a', numbers(0, 10))
    const killed = await site.start(labelled('one'), 'before_commit:1')
    expect(await killed.exit(), killed.stderr).toBe('SIGKILL')
    expect(site.archived()).toEqual(numbers(0, 10))
    const two = await site.start(labelled('two'))
    site.feed('a', [10])
    await until(() => site.archived().includes(10))
    await end(two)
    expect(site.archived()).toEqual(numbers(0, 11))
  })

  test('go soon after the next start, without any events, so that they do not cut what comes then', async () => {
    const site = await Site.make()
    site.feed('a', [0])
    const killed = await site.start(labelled('one'), 'before_acknowledge:1')
    expect(await killed.exit(), killed.stderr).toBe('SIGKILL')
    expect(site.marks()).toBe(1)
    const daemon = await site.start(labelled('one'))
    await until(() => site.marks() === 0)
    appendFileSync(join(site.folder, 'all.jsonl'), '{"log":"1"}\n')
    await kill(daemon)
    const again = await site.start(labelled('one'))
    await again.logged(/runs main/)
    await end(again)
    expect(site.archived()).toEqual([0, 1])
  })

  test('of a file that is not written to any more go soon, without further events', async () => {
    const site = await Site.make()
    site.feed('a', [0])
    const daemon = await site.start(labelled('one'))
    await until(() => site.committed() > 0 && site.marks() === 0)
    appendFileSync(join(site.folder, 'all.jsonl'), '{"log":"1"}\n')
    await kill(daemon)
    const again = await site.start(labelled('one'))
    await again.logged(/runs main/)
    await end(again)
    expect(site.archived()).toEqual([0, 1])
  })
})
