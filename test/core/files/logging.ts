// Programs that log, rotated at random while an input_file reads in its own time.
import { appendFile, copyFile, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { expect } from 'vitest'
import { random } from './rotations.ts'
import { scratch, type Tailing, tail, text } from './tailing.ts'

/** Seconds: longer than even a loaded machine takes from one step to the next. The tests move the time past it. */
const rotateWait = 60

/** A logger that writes numbered lines to one path, and what logrotate may do to it. */
class Logger {
  readonly written: string[] = []
  readonly #path: string
  readonly #name: string
  readonly #pick: (below: number) => number
  #half = ''

  constructor(dir: string, name: string, pick: (below: number) => number) {
    this.#path = join(dir, `${name}.log`)
    this.#name = name
    this.#pick = pick
  }

  async append(): Promise<void> {
    const count = 1 + this.#pick(this.#pick(10) === 0 ? 3000 : 20)
    const lines = Array.from({ length: count }, (_, i) => this.#line(i))
    const bytes = this.#half + text(lines)
    this.#half = ''
    this.written.push(...lines)
    if (this.#pick(3) > 0) return appendFile(this.#path, bytes)
    // In two writes, the first of which ends anywhere, also inside a character.
    const cut = this.#pick(Buffer.byteLength(bytes))
    await appendFile(this.#path, Buffer.from(bytes).subarray(0, cut))
    await appendFile(this.#path, Buffer.from(bytes).subarray(cut))
  }

  /** Renames app.log.N upwards, up to `keep`, then the file itself by a rename, or by a copy and a truncation. */
  async rotate(keep: number): Promise<void> {
    const { written } = this
    if (written.length === 0) return
    await rm(`${this.#path}.${keep}`, { force: true })
    for (let n = keep - 1; n > 0; n--) await rename(`${this.#path}.${n}`, `${this.#path}.${n + 1}`).catch(() => {})
    if (this.#pick(2) === 0) {
      await rename(this.#path, `${this.#path}.1`)
      await writeFile(this.#path, '')
    } else {
      await copyFile(this.#path, `${this.#path}.1`)
      await truncate(this.#path)
    }
  }

  /** Compresses what was rotated first. */
  async compress(): Promise<void> {
    const content = await readFile(`${this.#path}.1`).catch(() => undefined)
    if (content === undefined) return
    await writeFile(`${this.#path}.1.gz`, gzipSync(content))
    await rm(`${this.#path}.1`)
  }

  #line(i: number): string {
    return `${this.#name} ${String(this.written.length + i).padStart(7, '0')} é😀${'x'.repeat(this.#pick(60))}`
  }
}

async function settle(run: Tailing, loggers: readonly Logger[]): Promise<void> {
  await run.expect(loggers.flatMap((logger) => logger.written))
}

/** Rotations at random while a pipeline runs. */
export async function liveOn(seed: number): Promise<void> {
  const pick = random(seed)
  const dir = await scratch()
  const loggers = ['a', 'b', 'c'].map((name) => new Logger(dir, name, pick))
  // One pattern takes the rotated files too, the other does not.
  const run = tail({ path_pattern: seed % 2 === 0 ? `${dir}/*` : `${dir}/*.log`, rotate_wait: rotateWait })
  for (let i = 0; i < 60; i++) {
    const logger = loggers[pick(loggers.length)] as Logger
    const what = pick(10)
    if (what < 7) await logger.append()
    else if (what < 9) {
      // A file that nobody has seen cannot be told from others once its name no longer matches.
      if (seed % 2 === 1) {
        await logger.append()
        await settle(run, loggers)
      }
      if (pick(2) === 0) await logger.append()
      await logger.rotate(3)
      await settle(run, loggers)
    } else await logger.compress()
  }
  await settle(run, loggers)
  for (const name of ['a', 'b', 'c']) {
    const lines = run.lines().filter((line) => String(line).startsWith(`${name} `))
    expect(lines).toEqual([...lines].sort())
  }
}

/** Restarts at any point, with rotations while it is down. */
export async function restartAnywhere(seed: number): Promise<void> {
  const pick = random(seed)
  const dir = await scratch()
  const loggers = ['a', 'b'].map((name) => new Logger(dir, name, pick))
  const params = { path_pattern: seed % 2 === 0 ? `${dir}/*` : `${dir}/*.log`, rotate_wait: rotateWait }
  const got: unknown[] = []
  let run = tail(params)
  for (let i = 0; i < 25; i++) {
    for (const logger of loggers) await logger.append()
    // As above: a file must have been seen before it gets a name that does not match.
    if (seed % 2 === 1 || pick(3) === 0) {
      const before = new Set(got)
      await run.expect(loggers.flatMap((logger) => logger.written).filter((line) => !before.has(line)))
    }
    await run.stop()
    got.push(...run.lines())
    if (pick(2) === 0) for (const logger of loggers) await logger.append()
    // None is deleted: it may not have been read.
    if (pick(3) === 0) for (const logger of loggers) await logger.rotate(30)
    run = tail(params, run.positions)
  }
  const seen = new Set(got)
  await run.expect(loggers.flatMap((logger) => logger.written).filter((line) => !seen.has(line)))
  got.push(...run.lines())
  expect([...got].sort()).toEqual(loggers.flatMap((logger) => logger.written).sort())
}
