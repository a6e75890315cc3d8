// The file of dead letters: reading it letter by letter, and taking letters out of it while a daemon appends to it.
import {
  closeSync,
  fchmodSync,
  fchownSync,
  fstatSync,
  fsyncSync,
  linkSync,
  openSync,
  readdirSync,
  readSync,
  realpathSync,
  renameSync,
  rmSync,
  type Stats,
  statSync,
  writeSync,
} from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { FeedooError, messageOf, systemCode } from '../core/errors.ts'
import { type Event, isPlainObject } from '../core/event.ts'
import { lockFile, type Owner } from '../core/state/file-lock.ts'
import { parseExact } from '../protocol/json-frames.ts'

export interface Letter {
  /** Unix seconds. */
  time: number
  pipeline: string
  action: string
  /** Which of several actions with that label. */
  nth: number
  code: string
  reason: string
  /** Undefined when the record could not be written as JSON. */
  event: Event | undefined
}

/** A line of the file: where it begins, and where the next one does. */
export interface Line {
  start: number
  end: number
  /** Undefined for what is no dead letter. */
  letter: Letter | undefined
}

/** Bytes of a line that is read as a letter; a longer one stays where it is. */
const maxLineBytes = 64 * 1024 * 1024
/** Bytes that are read, or copied, at once. */
const pieceBytes = 256 * 1024
const newline = 10

/** All whole lines from the beginning up to `end`, in bytes; what is appended meanwhile is read too when it is not given. */
export function* linesOf(fd: number, end = Number.POSITIVE_INFINITY): Generator<Line> {
  let parts: Buffer[] = []
  let start = 0
  let at = 0
  while (at < end) {
    const piece = Buffer.alloc(Math.min(pieceBytes, end - at))
    const length = readSync(fd, piece, 0, piece.length, at)
    if (length === 0) return
    let from = 0
    for (let to = piece.indexOf(newline); to !== -1 && to < length; to = piece.indexOf(newline, from)) {
      parts.push(piece.subarray(from, to))
      const next = at + to + 1
      yield { start, end: next, letter: next - start > maxLineBytes ? undefined : readLetter(Buffer.concat(parts)) }
      parts = []
      start = next
      from = to + 1
    }
    at += length
    if (at - start <= maxLineBytes) parts.push(piece.subarray(from, length))
    else parts = []
  }
}

function readLetter(line: Buffer): Letter | undefined {
  let json: unknown
  try {
    json = parseExact(line.toString())
  } catch {
    // Half a line, or something else.
    return undefined
  }
  if (!isPlainObject(json)) return undefined
  const { time, pipeline, action, nth = 1, code, reason, tag, timestamp, record, metadata } = json
  if (typeof time !== 'number' || typeof pipeline !== 'string' || typeof action !== 'string') return undefined
  if (typeof code !== 'string' || typeof reason !== 'string' || typeof nth !== 'number') return undefined
  const isEvent = typeof tag === 'string' && tag !== '' && typeof timestamp === 'number' && isPlainObject(record)
  const event = isEvent ? { tag, timestamp, record, ...(isPlainObject(metadata) ? { metadata } : {}) } : undefined
  return { time, pipeline, action, nth, code, reason, event }
}

/**
 * Lets `work` have the file, by its real path, to itself among the commands that change it; a daemon goes on appending.
 * Finishes first what a killed command has left. Rejects with OUTPUT_UNAVAILABLE when another command has it.
 */
export async function withLetters<Result>(path: string, work: (path: string) => Promise<Result>): Promise<Result> {
  const real = realpathSync(path)
  const { default: sqlite } = await import('better-sqlite3')
  const { randomUUID } = await import('node:crypto')
  const owner = ownerToGive(statSync(real))
  const unlock = await lockFile(real, { sqlite, instance: randomUUID(), owner }, () => {}).catch((cause: unknown) => {
    if (!(cause instanceof FeedooError) || cause.code !== 'STATE_LOCKED') throw cause
    throw new FeedooError('OUTPUT_UNAVAILABLE', `another command changes ${path}`, { cause })
  })
  try {
    finishOthers(real)
    return await work(real)
  } finally {
    unlock()
  }
}

function ownerToGive({ uid, gid }: Stats): Owner | undefined {
  return process.geteuid?.() === 0 ? { uid, gid } : undefined
}

/**
 * Takes out the lines for which `isGone` says so, and returns how many. The file is whole under its name at every moment:
 * it is replaced by another in one step. What a daemon appends meanwhile is kept; a letter that comes in just that
 * moment may be there twice. Throws OUTPUT_UNAVAILABLE.
 */
export function removeLines(path: string, isGone: (line: Line) => boolean): number {
  const from = openSync(path, 'r')
  try {
    const made = copyWithout(from, path, isGone)
    if (made.removed > 0) putInPlace(from, path, made.end)
    return made.removed
  } catch (cause) {
    if (cause instanceof FeedooError) throw cause
    throw new FeedooError('OUTPUT_UNAVAILABLE', `cannot write ${path} anew: ${messageOf(cause)}`, { cause })
  } finally {
    closeSync(from)
    rmSync(newName(path), { force: true })
  }
}

/** Writes the new file beside the old one. `end` is how far the old one was read. */
function copyWithout(from: number, path: string, isGone: (line: Line) => boolean): { removed: number; end: number } {
  rmSync(newName(path), { force: true })
  const to = openSync(newName(path), 'wx', 0o600)
  try {
    const stats = fstatSync(from)
    fchmodSync(to, stats.mode & 0o7777)
    if (ownerToGive(stats) !== undefined) fchownSync(to, stats.uid, stats.gid)
    const { copy, flush } = copier(from, to)
    let removed = 0
    let kept = 0
    let end = 0
    for (const line of linesOf(from)) {
      end = line.end
      if (!isGone(line)) continue
      copy(kept, line.start)
      kept = line.end
      removed++
    }
    copy(kept, end)
    flush()
    fsyncSync(to)
    return { removed, end }
  } finally {
    closeSync(to)
  }
}

/**
 * Under its second name the old file says, should this process be killed, that what came behind `end` has still to be
 * appended to the new one.
 */
function putInPlace(from: number, path: string, end: number): void {
  const before = `${path}.before-${end}`
  linkSync(path, before)
  if (statSync(before).ino !== fstatSync(from).ino) {
    rmSync(before)
    throw new FeedooError('OUTPUT_UNAVAILABLE', `${path} was moved away meanwhile; nothing was changed`)
  }
  renameSync(newName(path), path)
  syncFolder(path)
  finish(path, before, end)
}

/** What commands left that were killed. */
function finishOthers(path: string): void {
  const prefix = `${basename(path)}.before-`
  for (const name of readdirSync(dirname(path))) {
    const end = Number(name.slice(prefix.length))
    if (name.startsWith(prefix) && Number.isSafeInteger(end)) finish(path, join(dirname(path), name), end)
  }
}

function finish(path: string, before: string, end: number): void {
  const old = openSync(before, 'r')
  try {
    // With the same file under both names, the new one has never been put in place.
    if (fstatSync(old).ino !== statSync(path).ino) appendRest(old, end, path)
  } finally {
    closeSync(old)
  }
  rmSync(before)
  syncFolder(path)
}

/** A last line that is not whole is ended: whoever was writing it finds the file moved, and writes it again. */
function appendRest(old: number, start: number, path: string): void {
  const { size } = fstatSync(old)
  if (size <= start) return
  const to = openSync(path, 'a')
  try {
    const { copy, flush } = copier(old, to)
    copy(start, size)
    flush()
    const last = Buffer.alloc(1)
    readSync(old, last, 0, 1, size - 1)
    if (last[0] !== newline) writeSync(to, '\n')
    fsyncSync(to)
  } finally {
    closeSync(to)
  }
}

/** Copies pieces of one file to the end of another; what was copied last is written by `flush`. */
function copier(from: number, to: number): { copy(start: number, end: number): void; flush(): void } {
  const held = Buffer.alloc(pieceBytes)
  let used = 0
  const flush = () => {
    for (let written = 0; written < used; ) written += writeSync(to, held, written, used - written)
    used = 0
  }
  return {
    copy(start, end) {
      for (let at = start; at < end; ) {
        const length = readSync(from, held, used, Math.min(held.length - used, end - at), at)
        if (length === 0) throw new Error('it became shorter meanwhile')
        at += length
        used += length
        if (used === held.length) flush()
      }
    },
    flush,
  }
}

function newName(path: string): string {
  return `${path}.new`
}

function syncFolder(path: string): void {
  const fd = openSync(dirname(path), 'r')
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}

/** Whether a file is there; a folder or a device holds no letters. */
export function isLetterFile(path: string): boolean {
  try {
    return statSync(path).isFile()
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return false
    throw error
  }
}
