// What the state knows of files that are appended to: how far each was written at a commit, and cutting it back to that.
import { z } from 'zod'
import type { Json, Marks, MarksElsewhere, OtherMarks, Position } from './action.ts'
import { cutFile } from './append-file.ts'
import { FeedooError, messageOf } from './errors.ts'
import type { Logger } from './log.ts'

/**
 * A mark goes by the file's identity, so that a file that was renamed and the one that has its name now have one each.
 * `idle`: nothing of the output is in the file that is not committed. Such a mark cuts nothing; it keeps others, who mark
 * the same file, from cutting what this output has committed.
 */
const fileMark = z.object({ path: z.string(), length: z.number(), idle: z.literal(true).optional() })
/** By the path. The inode alone may be another file's by now: such a mark is good for the file of that path only. */
const formerMark = z.object({ length: z.number(), inode: z.number() })
const anyMark = z.union([fileMark, formerMark])

/** For an output that is alone. */
export const noOthers: OtherMarks = { here: () => [], elsewhere: () => undefined }

export function fileMarkOf(path: string, length: number, idle = false): Json {
  return idle ? { path, length, idle } : { path, length }
}

/** The length in a mark whose file holds what is not committed; undefined for any other mark. */
export function liveLength(mark: Json): number | undefined {
  const { data } = anyMark.safeParse(mark)
  return data === undefined || ('idle' in data && data.idle) ? undefined : data.length
}

/**
 * What becomes of marks when everything that is in the files is committed: null, but for those that keep another pipeline
 * from cutting it.
 */
export function settle(marks: Marks, elsewhere: MarksElsewhere | undefined): Position {
  const settled: Position = {}
  for (const [key, saved] of marks) {
    const mark = readMark(key, saved)
    const isCut = (elsewhere?.get(key) ?? []).some((other) => liveLength(other.mark) !== undefined)
    settled[key] = isCut && mark !== undefined ? fileMarkOf(mark.path, mark.length, true) : null
  }
  return settled
}

/**
 * Cuts off what was written to files after the last commit. No output of this pipeline loses what it has committed, and
 * a file that another pipeline has marked is left as it is: what that one has written meanwhile nobody here knows. Throws
 * OUTPUT_UNAVAILABLE when a file cannot be cut.
 */
export function cutToMarks(marks: Marks, others: OtherMarks, log: Logger | undefined): void {
  let elsewhere: MarksElsewhere | undefined
  try {
    if (marks.size > 0) elsewhere = others.elsewhere()
  } catch (error) {
    log?.warn({ reason: messageOf(error) }, 'files are not cut: the states of other pipelines cannot be read')
    return
  }
  for (const [key, saved] of marks) {
    const mark = readMark(key, saved)
    if (mark === undefined || mark.idle) continue
    const { path, file } = mark
    const other = elsewhere?.get(key)?.[0]
    if (other !== undefined) {
      log?.warn(
        { path, state: other.state },
        'not cut, because another pipeline writes to it too: what comes again is there twice',
      )
      continue
    }
    const length = Math.max(mark.length, ...others.here(key).map((other) => readMark(key, other)?.length ?? 0))
    tell(log, path, cut(path, length, file))
  }
}

interface FileMark {
  path: string
  /** Its identity, as AppendFile has it, or, in a mark of the former kind, its inode. */
  file: string | number
  length: number
  idle: boolean
}

function readMark(key: string, saved: Json): FileMark | undefined {
  const { data } = anyMark.safeParse(saved)
  if (data === undefined) return undefined
  if ('inode' in data) return { path: key, file: data.inode, length: data.length, idle: false }
  return { path: data.path, file: key, length: data.length, idle: data.idle ?? false }
}

function cut(path: string, length: number, file: string | number): number | undefined {
  try {
    return cutFile(path, length, file)
  } catch (cause) {
    throw new FeedooError('OUTPUT_UNAVAILABLE', `cannot cut ${path}: ${messageOf(cause)}`, { cause })
  }
}

function tell(log: Logger | undefined, path: string, bytes: number | undefined): void {
  if (bytes === undefined) log?.info({ path }, 'the file was moved or removed since the last commit')
  else if (bytes > 0) log?.info({ path, bytes }, 'cut off what was written after the last commit')
  else if (bytes < 0) log?.warn({ path, bytes: -bytes }, 'the file has lost bytes since the last commit')
}
