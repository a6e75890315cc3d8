// Decides what a file that was not there before is: a new one, or the copy that a rotation makes of one that is known.
//
// A name alone proves nothing and neither does an inode: both are given out again. Only content does. The cases:
//
// The inode is known (tail-set.ts, read-content.ts):
//   what was read still stands there (hash of the beginning, bytes before the offset)  -> it is that file, go on
//   it does not: truncated, overwritten, inode given out again  -> what was read is remembered without an inode and
//     under the name it was read by, as its copy may be found; what stands there now is a newcomer
// The inode is not known, or its content is not: a newcomer, and here is the rule for it. Related are files that have
// a name from which rotation makes the newcomer's name.
//   1. all of it stands, byte by byte, at the beginning of a related file that is there:
//      a copy; its lines come out of that file                                       -> wait while that is so
//      empty or compressed, so that this is not known or dear to know                -> wait for `rotateWait`, then see
//   2. a related file that is there has just lost what was read of it                -> look again, at once
//   3. it has all that was read of a related file that is gone                       -> go on at that offset
//   4. it ends before that, and all of it was read                                   -> go on at its end, but wait for
//      `rotateWait` before, in case it is being written
//   5. compressed, and too little is written to tell whether it is 3 or 4            -> wait for `rotateWait`, then 6
//   6. anything else, and whatever is in doubt                                       -> read from 0
// Each wait ends: in 1 the related file changes or goes, or the newcomer grows beyond it; the others by the clock.
import type { FileHandle } from 'node:fs/promises'
import type { Clock } from '../clock.ts'
import { FeedooError } from '../errors.ts'
import { compressionOf } from './decompress.ts'
import { beforeLimit, fingerprint, fits, headLimit } from './fingerprint.ts'
import { type Content, compareContent, readRange, readUpTo } from './rotation.ts'
import type { TailFile } from './tail-file.ts'
import type { Found } from './walk.ts'

/**
 * `wait`: it may be a copy that is being made, or it is the copy of a file that goes on. `again`: the same, but
 * another scan can tell at once. `of`: the file that has been read to where `content` ends; it may have been read
 * further (`further`), and then its own copy may yet come.
 */
export type Verdict = 'new' | 'wait' | 'again' | { of: TailFile; content: Content; further: boolean }

interface Waiting {
  /** Unix seconds of its last change. */
  since: number
  version: string
  /** Id of a file that it was found to be a copy of, and of one that it is no copy of, as long as it does not change. */
  copyOf: string | undefined
  unlike: string | undefined
}

interface Case {
  item: Found
  compressed: boolean
  /** The first bytes. */
  head: Buffer
  waiting: Waiting
  /** It has been waited for. */
  late: boolean
}

export class Newcomers {
  readonly #options: { clock: Clock; rotateWait: number }
  readonly #waiting = new Map<string, Waiting>()

  /** `rotateWait` in seconds: how long a file that may become a copy is waited for after its last change. */
  constructor(options: { clock: Clock; rotateWait: number }) {
    this.#options = options
  }

  /** `related`: files it may be a copy of, by its name. `settled`: it is not waited for. Throws what reading throws. */
  async judge(item: Found, related: readonly TailFile[], settled: boolean): Promise<Verdict> {
    if (related.length === 0) return 'new'
    const waiting = this.#note(item)
    const late = settled || this.#options.clock.now() - waiting.since >= this.#options.rotateWait
    try {
      const { head } = await readUpTo(item.path, 0)
      const compressed = compressionOf(item.path) !== undefined
      if (head.length === 0) return settled || (late && !compressed) ? 'new' : 'wait'
      return await decide({ item, compressed, head, waiting, late }, related)
    } catch (error) {
      // Damaged: whoever reads it will say so.
      if (error instanceof FeedooError) return 'new'
      throw error
    }
  }

  /** Drops what is known of files that are no longer strangers. */
  keep(keys: ReadonlySet<string>): void {
    for (const key of this.#waiting.keys()) if (!keys.has(key)) this.#waiting.delete(key)
  }

  #note(item: Found): Waiting {
    const version = `${item.stat.size} ${item.stat.mtime}`
    const waiting = this.#waiting.get(item.stat.key)
    if (waiting?.version === version) return waiting
    const noted = { since: this.#options.clock.now(), version, copyOf: undefined, unlike: undefined }
    this.#waiting.set(item.stat.key, noted)
    return noted
  }
}

async function decide(it: Case, related: readonly TailFile[]): Promise<Verdict> {
  let verdict: Verdict = 'new'
  for (const file of related) {
    if (file.state === 'gone') continue
    const answer = await ofPresent(it, file)
    if (answer === 'again') verdict = 'again'
    else if (answer === 'wait' && verdict === 'new') verdict = 'wait'
  }
  if (verdict !== 'new') return verdict
  const gone = related.filter(
    (file) => file.state === 'gone' && file.content.head.length > 0 && mayBegin(file, it.head),
  )
  // What was read furthest is the best proof.
  gone.sort((a, b) => b.content.offset - a.content.offset)
  for (const file of gone) {
    const answer = await ofGone(it, file, gone.length === 1)
    if (answer === 'wait') verdict = 'wait'
    else if (answer !== 'new') return answer
  }
  return verdict
}

/** Cases 1 and 2, for one file that is there. */
async function ofPresent(it: Case, file: TailFile): Promise<'new' | 'wait' | 'again'> {
  if (file.compression !== undefined) return ofCompressed(it, file)
  const answer = await file.lookInto(async (handle, size) => {
    if (await mayBeCopy(it, file, handle, size)) return 'wait'
    return (await file.content.isIntact(handle)) ? 'new' : 'again'
  })
  // It leads elsewhere now, or what was read is no longer there: reading it, or the next scan, will tell.
  if (answer === undefined || answer === 'again') file.doubt()
  return answer ?? 'again'
}

async function mayBeCopy(it: Case, file: TailFile, handle: FileHandle, size: number): Promise<boolean> {
  const { head, compressed, late } = it
  if (!head.equals(await readRange(handle, 0, head.length))) return false
  return (compressed && !late) || isCopy(it, file, handle, size)
}

/** Whether all of it stands in the plain file at the same place. */
async function isCopy({ item, compressed, waiting }: Case, file: TailFile, handle: FileHandle, size: number) {
  if (compressed && waiting.copyOf === file.id) return file.content.isIntact(handle)
  if (compressed && waiting.unlike === file.id) return false
  const { head, last, length } = await readUpTo(item.path, size + 1)
  const copy =
    length <= size &&
    head.equals(await readRange(handle, 0, head.length)) &&
    last.equals(await readRange(handle, length - last.length, length))
  // Decoding all of it is dear: once is enough.
  if (copy) waiting.copyOf = file.id
  else waiting.unlike = file.id
  return copy
}

/** The same for a compressed file, of which only hashes are known. */
async function ofCompressed({ item, compressed, head, waiting, late }: Case, file: TailFile): Promise<'new' | 'wait'> {
  if (file.content.head.length === 0 || !mayBegin(file, head)) return 'new'
  if (!late) return 'wait'
  const asked = `${file.id} ${file.content.offset}`
  if (compressed && waiting.copyOf === asked) return 'wait'
  if (compressed && waiting.unlike === asked) return 'new'
  const { likeness, length } = await compareContent(item.path, file.content)
  const more = !compressed && file.finished && length > file.content.offset
  const copy = likeness === 'same' ? !more : likeness === 'shorter' && fits(file.content.head, head)
  if (copy) waiting.copyOf = asked
  else waiting.unlike = asked
  return copy ? 'wait' : 'new'
}

/** Cases 3 to 5, for one file that is gone. */
async function ofGone({ item, compressed, head, late }: Case, of: TailFile, only: boolean): Promise<Verdict> {
  if (head.length < of.content.head.length) {
    const began = of.content.beganWith(head)
    if (began === false || (began === undefined && !compressed)) return 'new'
    if (!late) return 'wait'
    return began === true ? { of, content: contentOf(head, head, head.length), further: true } : 'new'
  }
  // A compressed copy is verified when it is read as far as that: not twice, and not while other files wait.
  if (compressed && only) return { of, content: of.content, further: false }
  const { likeness, length, last } = await compareContent(item.path, of.content)
  if (likeness === 'same') return { of, content: of.content, further: false }
  if (likeness === 'different') return 'new'
  return late ? { of, content: contentOf(head, last, length), further: true } : 'wait'
}

function contentOf(head: Buffer, last: Buffer, length: number): Content {
  return {
    offset: length,
    head: fingerprint(head.subarray(0, Math.min(length, headLimit))),
    before: fingerprint(last.subarray(Math.max(0, last.length - beforeLimit))),
  }
}

/** Whether `head` is the beginning of what the file holds, as far as that can be told. */
function mayBegin(file: TailFile, head: Buffer): boolean {
  return head.length < file.content.head.length ? file.content.beganWith(head) !== false : fits(file.content.head, head)
}
