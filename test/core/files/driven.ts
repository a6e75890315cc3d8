// Drives a tail scan by scan, in a time that only the test moves: nothing depends on how fast the machine is.
import { resolve } from 'node:path'
import { onTestFinished } from 'vitest'
import type { Json } from '../../../src/core/action.ts'
import { VirtualClock } from '../../../src/core/clock.ts'
import { type TailOptions, type TailPasses, tailPasses } from '../../../src/core/files/tail.ts'
import { textEncoding } from '../../../src/core/files/text-encoding.ts'
import { compileMatch } from '../../../src/core/tag.ts'
import { silent } from '../../helpers/run-pipeline.ts'

/** Seconds between two scans, and for which a copy is waited for. */
const refresh = 1
export const rotateWait = 10

export class Driven {
  /** Every line that came out, over all restarts. */
  readonly lines: string[] = []
  readonly deadLetters: string[] = []
  readonly positions = new Map<string, Json>()
  readonly clock: VirtualClock
  readonly #dir: string
  readonly #glob: string
  readonly #more: Partial<TailOptions>
  #passes: TailPasses | undefined

  /** `clock`: one that a test has put its own hands into. */
  constructor(dir: string, glob: string, more: Partial<TailOptions> = {}, clock = new VirtualClock(1000)) {
    this.#dir = dir
    this.#glob = glob
    this.#more = more
    this.clock = clock
    onTestFinished(() => this.stop())
  }

  /** One scan and what it finds to read, and those that it asks for itself; `refresh` seconds pass. */
  async scan(times = 1): Promise<void> {
    for (let i = 0; i < times; i++) {
      this.#passes ??= tailPasses(this.#options(), {
        emit: (events, position) => {
          for (const { record } of events) this.lines.push(String(record.log))
          for (const key of Object.keys(position ?? {})) this.#save(key, position?.[key] ?? null)
          return Promise.resolve()
        },
        signal: new AbortController().signal,
        positions: new Map(this.positions),
        progress: () => {},
      })
      for (let repeats = 0; repeats < 50; repeats++) if ((await this.#passes.pass()) === 'idle') break
      this.clock.advance(refresh)
    }
  }

  /** Scans until all that is waited for must have been given up. */
  async settle(): Promise<void> {
    await this.scan(2 * rotateWait + 5)
  }

  /** What has come since the last call, after a single scan. */
  async next(): Promise<string[]> {
    await this.scan()
    return this.take()
  }

  /** What has come since the last call, when nothing more will. */
  async rest(): Promise<string[]> {
    await this.settle()
    return this.take()
  }

  take(): string[] {
    return this.lines.splice(0)
  }

  /** Lets go of all files; the next scan is that of a new process. */
  async stop(): Promise<void> {
    await this.#passes?.close()
    this.#passes = undefined
  }

  #save(key: string, value: Json): void {
    if (value === null) this.positions.delete(key)
    else this.positions.set(key, JSON.parse(JSON.stringify(value)) as Json)
  }

  #options(): TailOptions {
    const encoding = textEncoding('utf-8')
    if (encoding === undefined) throw new Error('no utf-8')
    return {
      matches: compileMatch(resolve(this.#dir, this.#glob)),
      root: this.#dir,
      deep: true,
      fromEnd: false,
      once: false,
      remove: false,
      removeAfter: 5,
      rotateWait,
      refreshInterval: refresh,
      idleTimeout: 300,
      maxOpenFiles: 256,
      maxRemembered: 10_000,
      lines: {
        tag: 't',
        encoding,
        maxLine: 1024 * 1024,
        clock: this.clock,
        deadLetter: ({ record }, error) => void this.deadLetters.push(`${error.code} ${String(record.log)}`),
      },
      clock: this.clock,
      log: silent,
      ...this.#more,
    }
  }
}
