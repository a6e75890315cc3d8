// Random histories of log files: written, rotated, compressed and deleted, also in the middle of a scan; for Driven.
import { appendFileSync, existsSync, readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { VirtualClock } from '../../../src/core/clock.ts'
import { Driven } from './driven.ts'
import { scratch } from './tailing.ts'

/** The same numbers for the same seed (mulberry32). */
export function random(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) % below
  }
}

/** A program that logs, and what logrotate does to its file, in steps that a scan may come between. */
class Program {
  readonly written: string[] = []
  readonly #trace: string[]
  readonly #path: string
  readonly #name: string
  readonly #pick: (below: number) => number
  #steps: (() => void)[] = []
  #half = Buffer.alloc(0)

  constructor(dir: string, name: string, pick: (below: number) => number, trace: string[]) {
    this.#path = join(dir, `${name}.log`)
    this.#name = name
    this.#pick = pick
    this.#trace = trace
  }

  get busy(): boolean {
    return this.#steps.length > 0
  }

  /** One thing that happens. */
  step(): void {
    const next = this.#steps.shift()
    if (next !== undefined) {
      next()
      return
    }
    const what = this.#pick(10)
    if (what < 7) this.#append()
    else if (what < 9) this.#rotate()
    else this.#compress()
  }

  finish(): void {
    while (this.busy) this.#steps.shift()?.()
    this.#say('finish')
    if (this.#half.length > 0) appendFileSync(this.#path, this.#half)
  }

  /** What is wrong with the lines that came out, or nothing. */
  compare(lines: readonly string[]): string {
    const got = lines.filter((line) => line.startsWith(`${this.#name} `))
    const at = got.findIndex((line, i) => line !== this.written[i])
    if (at === -1 && got.length === this.written.length) return ''
    const place = at === -1 ? got.length : at
    return `${got.length} of ${this.written.length} lines; got ${got[place]} for ${this.written[place]}`
  }

  #append(): void {
    const count = 1 + this.#pick(this.#pick(20) === 0 ? 3000 : 20)
    const lines = Array.from({ length: count }, (_, i) => this.#line(i))
    this.written.push(...lines)
    const bytes = Buffer.from(`${lines.join('\n')}\n`)
    this.#say(`append ${bytes.length}`)
    if (this.#pick(3) > 0) {
      appendFileSync(this.#path, bytes)
      return
    }
    // In two writes, the first of which ends anywhere, also inside a character.
    const cut = this.#pick(bytes.length)
    appendFileSync(this.#path, bytes.subarray(0, cut))
    this.#steps.push(() => appendFileSync(this.#path, bytes.subarray(cut)))
  }

  /** Renames app.log.N upwards, then the file itself by a rename, or by a copy and a truncation. */
  #rotate(): void {
    if (!existsSync(this.#path)) return
    for (let n = 40; n > 0; n--) {
      for (const end of ['', '.gz']) {
        const from = `${this.#path}.${n}${end}`
        if (existsSync(from)) this.#steps.push(() => renameSync(from, `${this.#path}.${n + 1}${end}`))
      }
    }
    if (this.#pick(2) === 0) {
      this.#steps.push(() => {
        this.#say('rename')
        renameSync(this.#path, `${this.#path}.1`)
      })
      this.#steps.push(() => writeFileSync(this.#path, ''))
      return
    }
    // A copy takes its time. What is written between its end and the truncation is lost: nothing is.
    const parts = 1 + this.#pick(3)
    let from = 0
    for (let i = 1; i <= parts; i++) {
      this.#steps.push(() => {
        const bytes = readFileSync(this.#path)
        const to = i === parts ? bytes.length : Math.floor((bytes.length * i) / parts)
        this.#say(`copy ${from}-${to}`)
        appendFileSync(`${this.#path}.1`, bytes.subarray(from, to))
        from = to
      })
    }
    this.#steps.push(() => {
      this.#say('truncate')
      truncateSync(this.#path)
    })
    // Often a few lines follow at once.
    if (this.#pick(2) === 0) this.#steps.push(() => this.#append())
  }

  /** Compresses the rotated file that is not compressed yet, in pieces, with a file that is there for a while. */
  #compress(): void {
    for (let n = 40; n > 0; n--) {
      const plain = `${this.#path}.${n}`
      if (!existsSync(plain) || existsSync(`${plain}.gz`)) continue
      const bytes = gzipSync(readFileSync(plain))
      const cut = this.#pick(bytes.length)
      this.#steps.push(() => {
        this.#say(`gz ${n} ${cut}/${bytes.length}`)
        writeFileSync(`${plain}.gz`, bytes.subarray(0, cut))
      })
      this.#steps.push(() => appendFileSync(`${plain}.gz`, bytes.subarray(cut)))
      this.#steps.push(() => {
        this.#say(`rm ${n}`)
        rmSync(plain)
      })
      return
    }
  }

  #say(what: string): void {
    this.#trace.push(`${this.#name}: ${what}`)
  }

  #line(i: number): string {
    return `${this.#name} ${String(this.written.length + i).padStart(7, '0')} é😀${'x'.repeat(this.#pick(60))}`
  }
}

/** A clock that lets the test do something wherever the tail asks for the time: in the middle of a scan. */
class BusyClock extends VirtualClock {
  meanwhile: (() => void) | undefined

  override now(): number {
    this.meanwhile?.()
    return super.now()
  }
}

export interface History {
  seed: number
  restarts: boolean
  /** Things happen while a scan is made. */
  meanwhile: boolean
  maxOpenFiles: number
}

/** `count` histories, of each kind some. */
export function histories(first: number, count: number): History[] {
  return Array.from({ length: count }, (_, i) => {
    const seed = first + i
    return { seed, restarts: seed % 3 === 0, meanwhile: seed % 2 === 0, maxOpenFiles: seed % 5 === 0 ? 2 : 256 }
  })
}

/**
 * Lives through a random history, in which everything that is written is in some file at every moment. Empty when
 * each line came out once and in order; else what is wrong, and what happened.
 */
export async function everyLineOnce({ seed, restarts, meanwhile, maxOpenFiles }: History): Promise<string> {
  const pick = random(seed)
  const dir = await scratch()
  const trace: string[] = []
  const programs = ['a', 'b'].map((name) => new Program(dir, name, pick, trace))
  const anyone = () => programs[pick(programs.length)]?.step()
  const clock = new BusyClock(1000)
  const tail = new Driven(dir, '*', { maxOpenFiles, idleTimeout: pick(2) === 0 ? 0 : 300 }, clock)
  for (let i = 0; i < 80; i++) {
    const steps = pick(4)
    for (let n = 0; n < steps; n++) anyone()
    if (restarts && pick(8) === 0) {
      await tail.stop()
      trace.push('restart')
    }
    if (meanwhile && pick(3) === 0) {
      let wait = pick(40)
      clock.meanwhile = () => {
        if (wait-- === 0) anyone()
      }
    }
    trace.push(`scan, ${tail.lines.length} lines so far`)
    await tail.scan(1 + (pick(6) === 0 ? pick(15) : 0))
    clock.meanwhile = undefined
  }
  for (const program of programs) program.finish()
  await tail.settle()
  const wrong = programs.map((program) => program.compare(tail.lines)).filter((text) => text !== '')
  if (tail.deadLetters.length > 0) wrong.push(`dead letters: ${tail.deadLetters.join()}`)
  return wrong.length === 0 ? '' : [...wrong, ...trace].join('\n')
}
