// The outputs that are written in the commit itself, and their marks: what they have beyond those, the next start undoes.
import type { Json, OtherMarks, Output, Position } from './action.ts'
import { cutToMarks, settle } from './append-file-marks.ts'
import { crashPoint } from './crash-points.ts'
import { messageOf } from './errors.ts'
import type { Logger } from './log.ts'
import type { OutputBuffer } from './output-buffer.ts'
import type { PipelineState, StateChange } from './state/pipeline-state.ts'

export class DirectOutputs {
  readonly #state: PipelineState | undefined
  readonly #log: Logger
  /** By their names in the state. */
  readonly #outputs = new Map<string, { output: Output; buffer: OutputBuffer }>()
  /** What each output has marked since the start. */
  readonly #marked = new Map<string, Map<string, Json>>()
  /** Marks of outputs that the configuration no longer has: to be taken away with the next save. */
  readonly #stale = new Map<string, Position>()
  #started = false

  constructor(state: PipelineState | undefined, log: Logger) {
    this.#state = state
    this.#log = log
  }

  add(key: string, output: Output, buffer: OutputBuffer): void {
    this.#outputs.set(key, { output, buffer })
  }

  /**
   * What an output has written since the last commit comes again to others, when it is no longer there itself: it is cut
   * from its files. Rows in a database stay.
   */
  recoverRemoved(): void {
    const state = this.#state
    if (!state?.isDurable) return
    for (const action of state.marked()) {
      if (this.#outputs.has(action)) continue
      const marks = state.marks(action)
      const others = this.#othersOf(action, state)
      const own = this.#log.child({ action })
      try {
        cutToMarks(marks, others, own)
        this.#stale.set(action, settle(marks, others.elsewhere()))
      } catch (error) {
        own.warn(`what was written after the last commit stays: ${messageOf(error)}`)
      }
    }
  }

  /** Undoes what was written to an open output after the last commit. */
  async recover(key: string, output: Output): Promise<void> {
    const state = this.#state
    if (state?.isDurable) await output.recover?.(state.marks(key), this.#othersOf(key, state))
  }

  /** From here on what others have marked is what this process has. */
  start(): void {
    this.#started = true
  }

  /** Saves marks of an output at once; undefined when there is no durable state. */
  intentOf(key: string): ((marks: Position) => void) | undefined {
    const state = this.#state
    if (!state?.isDurable) return undefined
    return (marks) => {
      crashPoint('before_intend')
      state.intend(key, marks)
      this.#outputs.get(key)?.buffer.intended(marks)
      this.#note(key, marks)
      crashPoint('after_intend')
    }
  }

  /** Called at the cut of a commit; resolves when all that came before it is in the targets for good. */
  async makeSafe(): Promise<void> {
    const mark = this.#state?.isDurable === true
    await Promise.all(Array.from(this.#outputs.values(), ({ buffer }) => buffer.makeSafe(mark)))
  }

  /** The marks that are to be saved with the commit. */
  takeMarks(): StateChange['marks'] {
    const marks = new Map<string, Position>(this.#stale)
    this.#stale.clear()
    for (const [key, { buffer }] of this.#outputs) {
      const mark = buffer.takeMark()
      if (mark !== undefined) marks.set(key, mark)
    }
    return marks
  }

  /**
   * Everything written is committed, and nothing has to be undone at the next start: whoever writes to the targets until
   * then, feedoo without this state too, loses nothing by an old mark. But for what an output still needs.
   */
  lastMarks(): StateChange['marks'] {
    const marks = new Map<string, Position>(this.#stale)
    for (const [key, { output }] of this.#outputs) {
      const saved = this.#state?.marks(key) ?? new Map()
      const none = Object.fromEntries(Array.from(saved.keys(), (name) => [name, null]))
      marks.set(key, { ...none, ...output.lastingMarks?.() })
    }
    return marks
  }

  /** The commit with these marks is saved. */
  saved(marks: StateChange['marks']): void {
    for (const [key, changed] of marks) this.#note(key, changed)
  }

  /** The commit with the last marks is saved. */
  async dropped(): Promise<void> {
    if (!this.#state?.isDurable) return
    for (const { output } of this.#outputs.values()) await output.marksDropped?.()
  }

  #othersOf(own: string, state: PipelineState): OtherMarks {
    return {
      here: (key) => {
        const actions = this.#started ? [...this.#marked.keys()] : state.marked()
        const marksOf = (action: string) => (this.#started ? this.#marked.get(action) : state.marks(action))
        return actions.flatMap((action) => (action === own ? [] : (marksOf(action)?.get(key) ?? [])))
      },
      elsewhere: () => state.marksElsewhere(),
    }
  }

  #note(action: string, changed: Position): void {
    const marks = this.#marked.get(action) ?? new Map<string, Json>()
    this.#marked.set(action, marks)
    for (const [key, mark] of Object.entries(changed)) {
      if (mark === null) marks.delete(key)
      else marks.set(key, mark)
    }
  }
}
