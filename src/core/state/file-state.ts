// The durable state of a pipeline: which of it goes to which state file, and when.
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import type { Json, Marks, MarksElsewhere, Position } from '../action.ts'
import type { Clock } from '../clock.ts'
import type { ActionConfig, Fsync, PipelineConfig } from '../config/types.ts'
import type { Logger } from '../log.ts'
import { actionKey, type Positions } from '../positions.ts'
import { tellTakeover } from '../takeover.ts'
import type { TimelineState } from '../timeline.ts'
import type { Owner } from './file-lock.ts'
import { fingerprint } from './fingerprint.ts'
import type { PipelineState, SavedBatch, StateChange, TimelineName } from './pipeline-state.ts'
import { realPath } from './real-path.ts'
import { unavailable } from './state-failure.ts'
import { type Durability, StateFile } from './state-file.ts'

/** Seconds between two saves where only actions have files of their own. The pipeline looks four times a second. */
const saveInterval = 0.75
/** The same where much changes: a save stops the stream, for longer the more there is in it. */
const shortestInterval = 0.1
/** Bytes of rule state in a save where it can be helped. */
const saveSize = 2_000_000

/** What the configuration says about state, and what the process says about itself. */
export interface StateOptions {
  /** `state_dir`. */
  folder: string | undefined
  fsync: Fsync
  /** The names of all pipelines of the configuration. */
  pipelines?: readonly string[]
  /** The same for all threads of this process, and for no other process. */
  instance: string
  /** Who the process will be once it gives up root. */
  owner: Owner | undefined
}

/** Of each choice: the file of `state_dir`, on whose commits answers depend, and the files of actions. */
const durabilities: Record<Fsync, { whole: Durability; own: Durability }> = {
  always: { whole: 'disk', own: 'disk' },
  commit: { whole: 'disk', own: 'system' },
  never: { whole: 'unsafe', own: 'unsafe' },
}

/**
 * Opens the state files of a pipeline; undefined when it has none, and then nothing is loaded. Rejects as
 * StateFile.open does.
 */
export async function openState(
  config: PipelineConfig,
  { folder, fsync, pipelines = [], instance, owner: futureOwner }: StateOptions,
  log: Logger,
  clock: Clock,
): Promise<FileState | undefined> {
  const { name, actions } = config
  const own = actions.flatMap((action, place) => {
    const path = action.params.db_path
    return typeof path === 'string' ? [{ path, key: actionKey(actions, place), input: isInput(action) }] : []
  })
  if (folder === undefined && own.length === 0) return undefined
  // Only root can give files away, and need.
  const owner = process.getuid?.() === 0 ? futureOwner : undefined
  const files = new Map<string, StateFile>()
  const configuration = fingerprint(config)
  const others = new Map(pipelines.flatMap((other) => (other === name ? [] : [[stateFileName(other), other]])))
  const open = async (path: string, durability: Durability) => {
    const options = { pipeline: name, others, configuration, durability, instance, owner, log, clock }
    const real = nameOf(path, owner)
    const file = files.get(real) ?? (await StateFile.open(real, options))
    files.set(real, file)
    return file
  }
  try {
    const whole =
      folder === undefined ? undefined : await open(join(folder, stateFileName(name)), durabilities[fsync].whole)
    const routes = new Map<string, StateFile>()
    for (const { path, key } of own) routes.set(key, await open(path, durabilities[fsync].own))
    const inputFiles = new Set(own.flatMap(({ key, input }) => (input ? (routes.get(key) ?? []) : [])))
    // A kill between two files must lose nothing: what says how far an input has come is saved last.
    const ordered = [...files.values()].sort((a, b) => rank(a) - rank(b))
    function rank(file: StateFile): number {
      return inputFiles.has(file) ? 2 : file === whole ? 1 : 0
    }
    const older = ordered.find(({ madeUnder }) => madeUnder !== undefined && madeUnder !== configuration)
    if (older !== undefined) {
      log.info(
        { saved: older.madeUnder, now: configuration },
        `the state in ${older.path} was saved under another configuration of this pipeline; what still fits is taken over`,
      )
    }
    // Each by what it holds itself: a kill between two of them must not part the one from the other.
    for (const file of ordered) {
      tellTakeover(file.takeOver(actions), log, (key) => (routes.get(key) ?? whole) === file)
    }
    return new FileState(ordered, routes, whole, clock)
  } catch (error) {
    for (const file of files.values()) file.close()
    throw error
  }
}

export class FileState implements PipelineState {
  readonly id: string
  readonly isDurable: boolean
  readonly #files: readonly StateFile[]
  /** The file of each action that has one of its own. */
  readonly #routes: ReadonlyMap<string, StateFile>
  /** The file in `state_dir`. */
  readonly #whole: StateFile | undefined
  readonly #clock: Clock
  #saved = Number.NEGATIVE_INFINITY
  #interval = saveInterval

  constructor(
    files: readonly StateFile[],
    routes: ReadonlyMap<string, StateFile>,
    whole: StateFile | undefined,
    clock: Clock,
  ) {
    this.#files = files
    this.#routes = routes
    this.#whole = whole
    this.id = (whole ?? files[0])?.id ?? ''
    this.isDurable = whole !== undefined
    this.#clock = clock
  }

  get trouble(): string | undefined {
    return this.#files.find(({ trouble }) => trouble !== undefined)?.trouble
  }

  memory(action: string, format: string): readonly Uint8Array[] {
    return this.#fileOf(action)?.memory(action, format) ?? []
  }

  /** With `state_dir` marks are in its file always: they must agree with the positions. */
  marks(action: string): Marks {
    return (this.#whole ?? this.#fileOf(action))?.marks(action) ?? new Map()
  }

  marked(): readonly string[] {
    return this.#whole?.marked() ?? []
  }

  marksElsewhere(): MarksElsewhere | undefined {
    return this.#whole?.marksElsewhere()
  }

  intend(action: string, marks: Position): void {
    ;(this.#whole ?? this.#fileOf(action))?.intend(action, marks)
  }

  batches(action: string): readonly SavedBatch[] {
    return this.#whole?.batches(action) ?? []
  }

  waiting(): readonly { action: string; events: number; place?: string }[] {
    return this.#whole?.waiting() ?? []
  }

  lastBatch(action: string): number {
    return this.#whole?.lastBatch(action) ?? 0
  }

  /** As the file says that was saved last. */
  timeline(name: TimelineName): TimelineState | undefined {
    const saved = this.#files.flatMap((file) => file.timeline(name) ?? [])
    return saved.reduce<TimelineState | undefined>((a, b) => (a === undefined || b.now > a.now ? b : a), undefined)
  }

  /**
   * Where the inputs go on: from their file, or, when it has never been saved or they have none, from `inMemory`, what the
   * process knows of them.
   */
  async positions(inMemory: Positions): Promise<Positions> {
    const positions = new Map(inMemory)
    const fresh = new Map<string, ReadonlyMap<string, Json>>()
    for (const input of new Set([...inMemory.keys(), ...this.#routes.keys(), ...(this.#whole?.inputs() ?? [])])) {
      const file = this.#fileOf(input)
      const known = inMemory.get(input)
      if (file === undefined) continue
      if (file.seq > 0) positions.set(input, file.positions(input))
      else if (known !== undefined) fresh.set(input, known)
    }
    // An input tells only what changes: what the new file does not have now, it would never get.
    const nothing = { memories: [], marks: new Map(), timelines: new Map(), buffers: [] }
    if (fresh.size > 0) await this.save({ ...nothing, positions: fresh })
    return positions
  }

  wanted(last: boolean): boolean {
    // The wall clock may have been put back.
    return last || this.isDurable || Math.abs(this.#clock.now() - this.#saved) >= this.#interval
  }

  async save(change: StateChange): Promise<void> {
    const now = this.#clock.now()
    const bytes = change.memories.reduce((sum, { segment }) => sum + segment.length, 0)
    // The first save says nothing of how fast things change.
    const interval = (saveSize * Math.abs(now - this.#saved)) / bytes
    this.#interval = Math.min(saveInterval, Math.max(shortestInterval, interval || saveInterval))
    this.#saved = now
    for (const file of this.#files) await file.save(this.#partOf(file, change))
  }

  close(): void {
    for (const file of this.#files) file.close()
  }

  #partOf(file: StateFile, change: StateChange): StateChange {
    if (this.#files.length === 1 && file === this.#whole) return change
    const { memories, marks, positions, timelines, buffers } = change
    const isHere = (action: string) => this.#fileOf(action) === file
    const isMarkHere = this.#whole === undefined ? isHere : () => file === this.#whole
    return {
      memories: memories.filter(({ action }) => isHere(action)),
      marks: new Map([...marks].filter(([action]) => isMarkHere(action))),
      positions: new Map([...positions].filter(([input]) => isHere(input))),
      timelines,
      buffers: file === this.#whole ? buffers : [],
    }
  }

  #fileOf(action: string): StateFile | undefined {
    return this.#routes.get(action) ?? this.#whole
  }
}

/**
 * The file of a pipeline in `state_dir`: its name, when that is plain; else what is plain of it, and a hash, so that no two
 * pipelines share a file, also where a file system does not tell capitals from small letters.
 */
export function stateFileName(pipeline: string): string {
  if (/^[a-z0-9_][a-z0-9_.-]{0,99}$/.test(pipeline)) return `${pipeline}.sqlite`
  const plain = pipeline
    .toLowerCase()
    .replace(/[^a-z0-9_-]+/g, '_')
    .slice(0, 60)
  // `~` stands in no plain name.
  return `${plain}~${createHash('sha256').update(pipeline).digest('hex').slice(0, 16)}.sqlite`
}

function isInput({ name }: ActionConfig): boolean {
  return name.startsWith('input_')
}

function nameOf(path: string, owner: Owner | undefined): string {
  try {
    return realPath(path, owner)
  } catch (cause) {
    throw unavailable('open', path, cause)
  }
}
