// One SQLite file that keeps what a pipeline, or one of its actions, remembers: a transaction a commit.
import { dirname } from 'node:path'
import type Database from 'better-sqlite3'
import type { Json, MarksElsewhere, Position } from '../action.ts'
import type { Clock } from '../clock.ts'
import type { ActionConfig } from '../config/types.ts'
import { FeedooError } from '../errors.ts'
import type { Logger } from '../log.ts'
import { type KnownAction, type Takeover, takeOver } from '../takeover.ts'
import type { TimelineState } from '../timeline.ts'
import { prepareStateFile } from './examine.ts'
import { lockFile, type Owner } from './file-lock.ts'
import { marksElsewhere } from './marks-elsewhere.ts'
import type { SavedBatch, StateChange, TimelineName } from './pipeline-state.ts'
import { isWritableBy, realPath } from './real-path.ts'
import { migrate } from './schema.ts'
import { unavailable } from './state-failure.ts'
import { prepareStatements, type Statements } from './statements.ts'
import { WriteAheadLog } from './write-ahead-log.ts'
import { type KnownMemory, writeChange, writeMarks, writeTakeover } from './write-change.ts'

/** Milliseconds that a transaction waits, with the stream, for that of another pipeline. */
const busyTimeout = 1000
/** Seconds before the first further attempt when the disk is full or away; doubled at each. */
const firstRetry = 0.1
const longestRetry = 5
/** Bytes to which the journal is cut after it had to grow. */
const journalSize = 16 * 1024 * 1024

/**
 * When a commit counts as saved. `disk`: when it would survive a power cut. `system`: when the operating system
 * has it; a power cut may undo the last commits, and leaves the file whole. `unsafe`: the same, but a power cut may damage
 * the file.
 */
export type Durability = 'disk' | 'system' | 'unsafe'

export interface StateFileOptions {
  pipeline: string
  durability: Durability
  /** Files of the same folder that other pipelines of the configuration have: their names, with those of the pipelines. */
  others?: ReadonlyMap<string, string>
  /** The fingerprint of its configuration, saved with each commit. */
  configuration?: string
  /** The same for all threads of a process, and for no other process. */
  instance: string
  /** Whom new files are to belong to, when this process may give them away. */
  owner?: Owner | undefined
  log: Logger
  clock: Clock
}

export class StateFile {
  readonly path: string
  /** Made with the file: a mark in an output's target is worth something with the same file only. */
  readonly id: string
  /** The fingerprint of the configuration under which the pipeline's last commit was made, if there was one. */
  readonly madeUnder: string | undefined
  readonly #options: StateFileOptions
  readonly #sqlite: typeof Database
  readonly #database: Database.Database
  readonly #unlock: () => void
  readonly #sql: Statements
  readonly #transaction: (change: StateChange) => Map<string, KnownMemory>
  /** What there is of the memory of each action. */
  readonly #memories: Map<string, KnownMemory>
  readonly #journal: WriteAheadLog
  readonly #closing = new AbortController()
  #seq: number
  #trouble: string | undefined

  /**
   * Opens a file, or makes it with the folders it is in. One that is damaged is set aside. Rejects with STATE_LOCKED
   * when another process uses it, STATE_FOREIGN or STATE_NEWER when it must not be touched, and STATE_UNAVAILABLE.
   */
  static async open(path: string, options: StateFileOptions): Promise<StateFile> {
    // Only here: it takes time that a configuration without state need not spend.
    const { default: sqlite } = await import('better-sqlite3')
    const { owner, log, instance, durability } = options
    try {
      const file = realPath(path, owner)
      const folder = dirname(file)
      if (owner !== undefined && !isWritableBy(folder, owner)) {
        const who = `user ${owner.uid}, group ${owner.gid}`
        log.warn(
          `${who} of \`privileges\` cannot make files in ${folder}: the state there cannot be opened again by a reload or a restarted pipeline`,
        )
      }
      const prepare = () => prepareStateFile(file, { sqlite, owner, log, flush: durability !== 'unsafe' })
      const unlock = await lockFile(file, { sqlite, instance, owner, log }, prepare)
      try {
        return new StateFile(file, sqlite, unlock, options)
      } catch (error) {
        unlock()
        throw error
      }
    } catch (error) {
      if (error instanceof FeedooError) throw error
      throw unavailable('open', path, error)
    }
  }

  private constructor(path: string, sqlite: typeof Database, unlock: () => void, options: StateFileOptions) {
    this.path = path
    this.#options = options
    this.#unlock = unlock
    this.#sqlite = sqlite
    const database = new sqlite(path, { fileMustExist: true, timeout: busyTimeout })
    this.#database = database
    try {
      // Flushing is done by `save`, beside the stream; SQLite itself flushes when it moves the journal into the file.
      database.pragma(`synchronous = ${options.durability === 'unsafe' ? 'OFF' : 'NORMAL'}`)
      database.pragma('trusted_schema = OFF')
      database.pragma(`journal_size_limit = ${journalSize}`)
      migrate(database)
      const sql = prepareStatements(database)
      const { pipeline } = options
      this.#sql = sql
      this.id = sql.id.get() ?? ''
      this.#seq = sql.seq.get(pipeline) ?? 0
      this.madeUnder = sql.configuration.get(pipeline)
      const memories = sql.memories.all(pipeline)
      this.#memories = new Map(memories.map(({ action, format, last }) => [action, { format, next: last + 1 }]))
      this.#transaction = database.transaction((change: StateChange) => this.#write(change)).immediate
      this.#journal = new WriteAheadLog(database, path)
    } catch (error) {
      database.close()
      throw error
    }
  }

  /** The number of the pipeline's last commit; 0 when there was none. */
  get seq(): number {
    return this.#seq
  }

  /** Why a save waits right now; a sentence. */
  get trouble(): string | undefined {
    return this.#trouble
  }

  /** The segments of an action's memory, oldest first; none when they were saved under another format. */
  memory(action: string, format: string): Uint8Array[] {
    const known = this.#memories.get(action)
    if (known === undefined) return []
    if (known.format === format) return this.#sql.segments.all(this.#options.pipeline, action)
    this.#options.log.warn(
      { action, saved: known.format, now: format },
      'what the action remembered was saved in another form, or for other parameters: it begins afresh',
    )
    return []
  }

  /** What an output has marked. */
  marks(action: string): Map<string, Json> {
    return toMap(this.#sql.marks.all(this.#options.pipeline, action))
  }

  /** The actions of the pipeline that have marks. */
  marked(): string[] {
    return this.#sql.marked.all(this.#options.pipeline)
  }

  /** What other pipelines have marked. Throws STATE_UNAVAILABLE. */
  marksElsewhere(): MarksElsewhere | undefined {
    const { pipeline, others = new Map() } = this.#options
    return marksElsewhere(this.#sqlite, { path: this.path, pipeline }, others)
  }

  /** What is left in the buffer of an output, oldest first. */
  batches(action: string): SavedBatch[] {
    return this.#sql.batches.all(this.#options.pipeline, action)
  }

  /** How many events are left in the buffer of each action, also of those that the pipeline has no more. */
  waiting(): { action: string; events: number; place: string }[] {
    return this.#sql.waiting.all(this.#options.pipeline)
  }

  /** The highest number that a batch of an output ever had; 0 when there was none. */
  lastBatch(action: string): number {
    return this.#sql.lastBatch.get(this.#options.pipeline, action) ?? 0
  }

  /** Gives to the inputs and outputs of a configuration what they go on from. Throws STATE_UNAVAILABLE. */
  takeOver(actions: readonly ActionConfig[]): Takeover {
    const { pipeline } = this.#options
    const last = this.#sql.configured.all(pipeline)
    const saved = this.#sql.saved.all(pipeline, pipeline)
    const takeover = takeOver(actions, last, new Map(saved.map(({ action, place }) => [action, place])))
    const { listed, adopted } = takeover
    // A start must not need room on the disk that it can do without.
    if (adopted.length === 0 && isSameList(listed, last)) return takeover
    try {
      this.#database.transaction(() => writeTakeover(this.#sql, pipeline, takeover)).immediate()
    } catch (error) {
      throw unavailable('write', this.path, error)
    }
    return takeover
  }

  /** The inputs that have positions. */
  inputs(): string[] {
    return this.#sql.inputs.all(this.#options.pipeline)
  }

  positions(input: string): Map<string, Json> {
    return toMap(this.#sql.positions.all(this.#options.pipeline, input))
  }

  timeline(name: TimelineName): TimelineState | undefined {
    const json = this.#sql.timeline.get(this.#options.pipeline, name)
    return json === undefined ? undefined : (JSON.parse(json) as TimelineState)
  }

  /**
   * Saves in one transaction. Waits as long as the disk is full or away, with one log line when that begins and one when
   * it is over; rejects with STATE_UNAVAILABLE for what will not get better, and when the file is closed meanwhile.
   */
  async save(change: StateChange): Promise<void> {
    await this.#untilItWorks(() => {
      const memories = this.#transaction(change)
      // Not before: a transaction that failed leaves everything as it was.
      for (const [action, known] of memories) this.#memories.set(action, known)
      this.#seq++
    })
    if (this.#options.durability !== 'disk') return
    await this.#untilItWorks(() => this.#journal.flush())
  }

  /** Saves marks at once, in a transaction of their own, and waits for the disk. Throws STATE_UNAVAILABLE. */
  intend(action: string, marks: Position): void {
    try {
      this.#database.transaction(() => writeMarks(this.#sql, this.#options.pipeline, action, marks)).immediate()
      if (this.#options.durability === 'disk') this.#journal.flushAtOnce()
    } catch (error) {
      throw unavailable('write', this.path, error)
    }
  }

  close(): void {
    if (this.#closing.signal.aborted) return
    this.#closing.abort()
    this.#journal.finish()
    this.#journal.close()
    this.#database.close()
    this.#unlock()
  }

  #write(change: StateChange): Map<string, KnownMemory> {
    const { pipeline, clock, configuration = '' } = this.#options
    return writeChange(this.#sql, { pipeline, time: clock.now(), configuration }, change, this.#memories)
  }

  async #untilItWorks(attempt: () => void | Promise<void>): Promise<void> {
    const { log, clock } = this.#options
    const { signal } = this.#closing
    for (let wait = firstRetry; ; wait = Math.min(2 * wait, longestRetry)) {
      try {
        await attempt()
        break
      } catch (error) {
        const failure = unavailable('write', this.path, error)
        if (signal.aborted || !failure.retriable) throw failure
        if (this.#trouble === undefined) {
          log.warn({ code: failure.code }, `${failure.message}; trying again until it works`)
        }
        this.#trouble = failure.message
        await clock.sleep(wait, signal)
        if (signal.aborted) throw failure
      }
    }
    if (this.#trouble !== undefined) log.info(`${this.path} can be written again`)
    this.#trouble = undefined
  }
}

function isSameList(a: readonly KnownAction[], b: readonly KnownAction[]): boolean {
  const [one, other] = [a, b].map((list) =>
    JSON.stringify(list.map(({ key, place, match }) => [key, place, match]).sort()),
  )
  return one === other
}

function toMap(rows: readonly { key: string; json: string }[]): Map<string, Json> {
  return new Map(rows.map(({ key, json }) => [key, JSON.parse(json) as Json]))
}
