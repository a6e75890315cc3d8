// What a filter remembers, in the form in which the engine saves it: a journal of what changed.

/**
 * The engine keeps the segments of an action in order, and gives them all back after a restart. A journal grows only
 * as fast as things change; that it does not grow for ever is the matter of `keep`: each segment also repeats a part
 * of what has not changed, so that after some rounds the oldest segments say nothing new.
 */
export interface Memory {
  /**
   * The form and the meaning of what is saved: name, version, and the parameters without which it makes no sense (for
   * a rule, its query key). What was saved under another format is dropped, with a line in the log.
   */
  readonly format: string
  /**
   * Takes over what was saved, oldest first. Called once, before the first event. Throws when it cannot be read. When it is
   * `once`, nobody follows the changes: `changes` is called at the end, if ever, and then gives everything there is, as
   * it does when `restore` was not called.
   */
  restore(segments: Iterable<Uint8Array>, once?: boolean): void
  /** What changed since the last call or since `restore`, or undefined. Called between two batches; cheap, it stops the stream. */
  changes(): MemoryChanges | undefined
}

export interface MemoryChanges {
  readonly segment: Uint8Array
  /** How many of the newest segments, this one among them, say everything there is. Older ones can go. */
  readonly keep: number
}
