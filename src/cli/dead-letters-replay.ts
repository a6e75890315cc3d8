// `feedoo dead-letters replay`: sends dead letters through the pipeline again, from the action that could not handle them.
import { randomUUID } from 'node:crypto'
import { accessSync, closeSync, constants, fstatSync, openSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Output } from '../core/action.ts'
import { systemClock } from '../core/clock.ts'
import type { Config } from '../core/config/types.ts'
import { deadLetterFile } from '../core/dead-letters.ts'
import { FeedooError } from '../core/errors.ts'
import { createLogger, type Logger } from '../core/log.ts'
import { Pipeline } from '../core/pipeline.ts'
import { dropPrivileges, futureOwner } from '../core/privileges.ts'
import type { Registry } from '../core/registry.ts'
import { openState } from '../core/state/file-state.ts'
import type { Write } from './actions.ts'
import { type LetterFilter, lettersText, matcherOf, sentenceOf } from './dead-letters.ts'
import { isLetterFile, type Line, linesOf, removeLines, withLetters } from './dead-letters-file.ts'
import { lettersInput, type Target, targetOf } from './dead-letters-target.ts'
import { load } from './load.ts'
import { safeText } from './terminal.ts'

export interface ReplayLettersCommand extends LetterFilter {
  /** The configuration. */
  config: string
}

/** What was sent, by where it entered. */
type Sent = Map<string, { target: Target; letters: number; end: number }>

/**
 * Exit code 0 when nothing that was meant is left in the file; 1 when some failed again or could not be sent, or when
 * a daemon runs the pipeline; 2 for a wrong command line or configuration.
 */
export async function replayLettersCommand(
  command: ReplayLettersCommand,
  write: Write,
  writeError: Write,
): Promise<number> {
  const { config, registry } = await load(command.config, 'nothing was replayed', { warn: false })
  if (config === undefined) return 2
  const refuse = (why: string, code = 2) => {
    writeError(`feedoo: ${safeText(why)}\n`)
    return code
  }
  const matches = matcherOf(command)
  if (typeof matches === 'string') return refuse(matches)
  const { deadLetters: file } = config
  if (file === undefined) return refuse(`${config.file} names no file of \`dead_letters\``)
  if (!isLetterFile(file)) {
    write(`${safeText(file)}: there are no dead letters\n`)
    return 0
  }
  try {
    return await withLetters(file, async (path) => {
      const replay = new LetterReplay(path, config, registry, ({ letter }) => letter !== undefined && matches(letter))
      const failure = await replay.run()
      write(replay.report())
      if (failure === undefined) return replay.again + replay.unsent > 0 ? 1 : 0
      const isRunning = failure instanceof FeedooError && failure.code === 'STATE_LOCKED'
      const rule = isRunning ? '; letters are replayed while no feedoo runs their pipeline' : ''
      return refuse(`${sentenceOf(file, failure)}${rule}`, 1)
    })
  } catch (error) {
    return refuse(sentenceOf(file, error), 1)
  }
}

class LetterReplay {
  /** Letters that came back: they are in the file, with their new reason. */
  again = 0
  /** Letters that could not be sent, by why. */
  readonly #left = new Map<string, number>()
  #removed = 0
  readonly #path: string
  readonly #config: Config
  readonly #registry: Registry
  readonly #isMeant: (line: Line) => boolean
  readonly #log: Logger = createLogger({ verbosity: 0, pretty: process.stderr.isTTY === true })
  readonly #instance = randomUUID()

  constructor(path: string, config: Config, registry: Registry, isMeant: (line: Line) => boolean) {
    this.#path = path
    this.#config = config
    this.#registry = registry
    this.#isMeant = isMeant
  }

  get unsent(): number {
    return [...this.#left.values()].reduce((sum, count) => sum + count, 0)
  }

  /** Returns what kept it from sending all. What was sent, and is safe, is taken out of the file either way. */
  async run(): Promise<unknown> {
    // Letters that come back are appended behind this.
    const { end, sent } = this.#plan()
    let failure: unknown
    try {
      for (const entry of sent.values()) await this.#send(entry, end)
    } catch (error) {
      failure = error
    }
    this.#removed = removeLines(this.#path, (line) => {
      if (line.start >= end || !this.#isMeant(line) || line.letter === undefined) return false
      const target = targetOf(line.letter, this.#config, this.#registry)
      return typeof target !== 'string' && line.end <= (sent.get(target.name)?.end ?? 0)
    })
    return failure
  }

  report(): string {
    const again = this.again === 0 ? '' : `; ${lettersText(this.again)} came back and stand at the end of the file`
    const left = [...this.#left].map(([why, count]) => `${lettersText(count)} left: ${safeText(why)}\n`)
    return `${safeText(this.#path)}: ${lettersText(this.#removed)} replayed${again}\n${left.join('')}`
  }

  /** Where letters enter, in the order of the actions. */
  #plan(): { end: number; sent: Sent } {
    const fd = openSync(this.#path, 'r')
    const sent: Sent = new Map()
    try {
      const end = fstatSync(fd).size
      for (const line of linesOf(fd, end)) {
        if (line.letter === undefined || !this.#isMeant(line)) continue
        const target = targetOf(line.letter, this.#config, this.#registry)
        if (typeof target === 'string') this.#left.set(target, (this.#left.get(target) ?? 0) + 1)
        else {
          const entry = sent.get(target.name) ?? { target, letters: 0, end: 0 }
          entry.letters++
          sent.set(target.name, entry)
        }
      }
      const ordered = [...sent].sort(([, a], [, b]) => a.target.place - b.target.place)
      return { end, sent: new Map(ordered) }
    } finally {
      closeSync(fd)
    }
  }

  /** Runs the pipeline for the letters of one action. Resolves when what became of them is safe. */
  async #send(entry: { target: Target; end: number }, end: number): Promise<void> {
    const { privileges, stateDir: folder, fsync, shutdownTimeout } = this.#config
    const pipelines = this.#config.pipelines.map(({ name }) => name)
    const { pipeline, actions } = entry.target
    const log = this.#log.child({ pipeline: pipeline.name })
    const owner = privileges && futureOwner(privileges)
    const state = await openState(
      pipeline,
      { folder, fsync, pipelines, instance: this.#instance, owner },
      log,
      systemClock,
    )
    if (state === undefined) log.warn('the pipeline keeps no state: make sure that no feedoo runs it meanwhile')
    const stop = new AbortController()
    const giveUp = new AbortController()
    const onSignal = () => {
      if (stop.signal.aborted) process.exit(1)
      stop.abort()
      setTimeout(() => giveUp.abort(), shutdownTimeout * 1000).unref()
    }
    process.on('SIGINT', onSignal)
    process.on('SIGTERM', onSignal)
    try {
      const input = lettersInput(this.#lettersFor(entry.target, end), (upTo) => {
        entry.end = upTo
      })
      const running = new Pipeline(
        { name: pipeline.name, actions },
        {
          registry: input.with(this.#registry),
          clock: systemClock,
          log: this.#log,
          deadLetters: this.#counting(deadLetterFile(this.#path)),
          ...(state === undefined ? {} : { state }),
        },
      )
      await running.open()
      if (privileges !== undefined) dropPrivileges(privileges)
      this.#mustBeWritable()
      await running.run(stop.signal, giveUp.signal)
      if (stop.signal.aborted) throw new FeedooError('SHUTDOWN_TIMEOUT', 'it was told to stop before all were replayed')
    } finally {
      state?.close()
      process.off('SIGINT', onSignal)
      process.off('SIGTERM', onSignal)
    }
  }

  /** In the file as it was at the start. */
  *#lettersFor(target: Target, end: number): Generator<Line> {
    const fd = openSync(this.#path, 'r')
    try {
      for (const line of linesOf(fd, end)) {
        if (line.letter === undefined || !this.#isMeant(line)) continue
        const found = targetOf(line.letter, this.#config, this.#registry)
        if (typeof found !== 'string' && found.name === target.name) yield line
      }
    } finally {
      closeSync(fd)
    }
  }

  /** Before anything is sent: letters that cannot be taken out would be sent again the next time. */
  #mustBeWritable(): void {
    accessSync(dirname(this.#path), constants.W_OK)
  }

  #counting(file: Output): Output {
    return {
      ...file,
      write: async (events) => {
        await file.write(events)
        this.again += events.length
      },
    }
  }
}
