// Finds the known files that a newcomer may be a rotated copy of, without asking each of them.
import { isRotationOf, rotationBase } from './rotation.ts'
import type { TailFile } from './tail-file.ts'

export class Relations {
  readonly #byBase = new Map<string, Set<TailFile>>()

  /** By its name, and by the one under which it was read: another file may have got its inode, and it that one's. */
  add(file: TailFile): void {
    this.#add(rotationBase(file.path), file)
    if (file.content.readAs !== file.path) this.#add(rotationBase(file.content.readAs), file)
  }

  /** The files from whose name rotation makes `path`. */
  of(path: string): TailFile[] {
    const related = new Set<TailFile>()
    for (let end = path.lastIndexOf('/') + 1; end <= path.length; end++) {
      for (const file of this.#byBase.get(path.slice(0, end)) ?? []) {
        if (isRotationOf(path, file.path) || isRotationOf(path, file.content.readAs)) related.add(file)
      }
    }
    return [...related]
  }

  #add(base: string, file: TailFile): void {
    const files = this.#byBase.get(base)
    if (files === undefined) this.#byBase.set(base, new Set([file]))
    else files.add(file)
  }
}
