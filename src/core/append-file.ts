// A file that is only appended to, by whole lines: what a failed write leaves behind is cut off again.
import {
  type BigIntStats,
  closeSync,
  constants,
  fdatasync,
  fstatSync,
  fsync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readdirSync,
  readSync,
  statSync,
  writeSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { FeedooError, messageOf, systemCode } from './errors.ts'
import { encodeLines } from './line-bytes.ts'
import { makeFolders } from './make-folders.ts'

const fileMode = 0o640
const folderMode = 0o750
const newline = 10

const syncData = promisify(fdatasync)
const syncFolder = promisify(fsync)

/**
 * Writes are synchronous: they go to the page cache, which costs less than handing them to another thread, and a file
 * system that hangs then holds up this pipeline only. Waiting for the disk (`sync`) is done elsewhere.
 */
export class AppendFile {
  readonly path: string
  /** Tells the file from every other, one that has its name or its inode later too. */
  readonly identity: string
  #fd: number
  #length: number
  /** The file ends in half a line that somebody else left. */
  #open: boolean
  /** Bytes of a failed write that are still to be cut off behind `length`. */
  #torn = 0
  /** Folders that have new entries. */
  #folders: string[]
  #syncs = 0
  #closed = false

  /**
   * Opens or creates a file, and the folders it is in. Throws OUTPUT_UNAVAILABLE, retriable, when it cannot be opened,
   * and OUTPUT_REJECTED when it is something else than a regular file.
   */
  constructor(path: string) {
    this.path = path
    let opened = -1
    try {
      const { fd, folders } = openOrCreate(path)
      opened = fd
      const stats = fstatSync(fd, { bigint: true })
      if (!stats.isFile()) throw new FeedooError('OUTPUT_REJECTED', `${path} is not a regular file`)
      this.#fd = fd
      this.#folders = folders
      this.identity = identityOf(stats)
      this.#length = Number(stats.size)
      this.#open = this.#length > 0 && lastByte(fd, this.#length) !== newline
    } catch (cause) {
      if (opened !== -1) closeSync(opened)
      throw cause instanceof FeedooError ? cause : unavailable('open', path, cause)
    }
  }

  /** Bytes of what has been written whole. */
  get length(): number {
    return this.#length
  }

  /**
   * Bytes that the file has now, with what others have appended, and without what a failed write has left. Of a closed
   * file that has no longer its name, what it had. Throws what the file system throws.
   */
  size(): number {
    if (this.#torn > 0) return this.#length
    if (!this.#closed) return fstatSync(this.#fd).size
    const stats = statSync(this.path, { bigint: true, throwIfNoEntry: false })
    return stats !== undefined && identityOf(stats) === this.identity ? Number(stats.size) : this.#length
  }

  /**
   * Appends lines, which are given without their newlines; `head`, which has its own, stands before them when the file
   * is empty. Returns false, with nothing written, once the file has been removed from its folder. Calls `before` with the
   * size of the file ahead of the first byte. Throws OUTPUT_UNAVAILABLE, retriable, and what `before` throws; then nothing
   * of the lines is in the file.
   */
  append(lines: readonly string[], head = '', before?: (size: number) => void): boolean {
    if (!this.#ready()) return false
    before?.(this.#length)
    this.#write(lines, head)
    return true
  }

  #ready(): boolean {
    try {
      this.#mend()
      // Another process may append to the same file: what it wrote must not be cut off with ours.
      const { size, nlink } = fstatSync(this.#fd)
      if (nlink === 0) return false
      this.#length = size
      return true
    } catch (cause) {
      throw unavailable('write', this.path, cause)
    }
  }

  #write(lines: readonly string[], head: string): void {
    try {
      const before = this.#length === 0 ? head : this.#open ? '\n' : ''
      encodeLines(before, lines, (bytes) => {
        for (let at = 0; at < bytes.length; ) {
          const written = writeSync(this.#fd, bytes, at)
          at += written
          this.#torn += written
        }
      })
      this.#length += this.#torn
      this.#torn = 0
      this.#open = false
    } catch (cause) {
      try {
        this.#mend()
      } catch {
        // Tried again before the next write.
      }
      throw unavailable('write', this.path, cause)
    }
  }

  #mend(): void {
    if (this.#torn === 0) return
    const { size } = fstatSync(this.#fd)
    if (size === this.#length + this.#torn) ftruncateSync(this.#fd, this.#length)
    // Somebody else has written behind it, so that it cannot be cut: it stays as a line of its own.
    else this.#open = size > 0 && lastByte(this.#fd, size) !== newline
    this.#torn = 0
  }

  /**
   * Resolves when what was appended so far, and the name of the file, would survive a power cut. Works on a closed
   * file too, unless that was moved to another folder. Rejects with OUTPUT_UNAVAILABLE; retriable unless the disk has refused: the system may then have forgotten
   * what it could not write, and would say the next time that all is well.
   */
  async sync(): Promise<void> {
    const folders = this.#folders
    this.#syncs++
    try {
      if (this.#closed) await syncAndClose(reopened(this.path, this.identity), syncData)
      else await syncData(this.#fd)
      for (const folder of folders) await syncAndClose(openedForSync(folder), syncFolder)
      this.#folders = []
    } catch (cause) {
      throw unavailable('sync', this.path, cause, !isFlush(cause))
    } finally {
      this.#syncs--
      if (this.#closed && this.#syncs === 0) this.#release()
    }
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    if (this.#syncs === 0) this.#release()
  }

  #release(): void {
    if (this.#fd === -1) return
    closeSync(this.#fd)
    this.#fd = -1
  }
}

/**
 * Cuts a file back to a length that it had, in bytes. Goes by its identity, and then the file may have another name in
 * the same folder by now; or by an inode. Returns how many bytes were cut, negative when so many are missing; undefined
 * when the file is gone. Throws what the file system throws.
 */
export function cutFile(path: string, length: number, file: string | number): number | undefined {
  const found = typeof file === 'number' ? path : find(path, file)
  if (found === undefined || !isFile(found, file)) return undefined
  const { size } = statSync(found)
  if (size > length) {
    const fd = openSync(found, constants.O_RDWR | constants.O_NONBLOCK)
    try {
      ftruncateSync(fd, length)
      fsyncSync(fd)
    } finally {
      closeSync(fd)
    }
  }
  return size - length
}

/**
 * An inode is given to a new file as soon as it is free, so the time of birth must agree. The device says nothing more,
 * and may have another number when the machine has started again; it stands in where the file system knows no birth.
 */
function identityOf({ ino, birthtimeNs, dev }: BigIntStats): string {
  return birthtimeNs > 0n ? `${ino}:${birthtimeNs}` : `${ino}:0:${dev}`
}

function isFile(path: string, file: string | number): boolean {
  const stats = statSync(path, { bigint: true, throwIfNoEntry: false })
  if (!stats?.isFile()) return false
  return typeof file === 'number' ? Number(stats.ino) === file : identityOf(stats) === file
}

/** The path that a file has by now: its own, or another in the same folder. */
function find(path: string, identity: string): string | undefined {
  if (isFile(path, identity)) return path
  for (const name of neighbours(path)) if (isFile(name, identity)) return name
  return undefined
}

function* neighbours(path: string): Generator<string> {
  const folder = dirname(path)
  try {
    for (const name of readdirSync(folder)) yield join(folder, name)
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error
  }
}

function openOrCreate(path: string): { fd: number; folders: string[] } {
  // Non-blocking, for a pipe that has that name; readable, for the last byte.
  const flags = constants.O_RDWR | constants.O_APPEND | constants.O_NONBLOCK
  try {
    return { fd: openSync(path, flags), folders: [] }
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error
  }
  const folder = dirname(path)
  const made = makeFolders(folder, folderMode)
  const fd = openSync(path, flags | constants.O_CREAT, fileMode)
  // The folder of the new file, and those above it up to the one that was there before.
  return { fd, folders: [...made, dirname(made.at(-1) ?? path)] }
}

/** Undefined when the file or folder is gone: there is nothing to keep. */
function openedForSync(path: string): number | undefined {
  try {
    return openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined
    throw error
  }
}

/** A file that was closed, and may have been renamed since; undefined when it is not in its folder any more. */
function reopened(path: string, identity: string): number | undefined {
  for (;;) {
    const found = find(path, identity)
    if (found === undefined) return undefined
    const fd = openedForSync(found)
    if (fd === undefined) continue
    if (identityOf(fstatSync(fd, { bigint: true })) === identity) return fd
    // Renamed just now.
    closeSync(fd)
  }
}

async function syncAndClose(fd: number | undefined, sync: (fd: number) => Promise<void>): Promise<void> {
  if (fd === undefined) return
  try {
    await sync(fd)
  } finally {
    closeSync(fd)
  }
}

function lastByte(fd: number, size: number): number | undefined {
  const byte = Buffer.alloc(1)
  return readSync(fd, byte, 0, 1, size - 1) === 1 ? byte[0] : undefined
}

function isFlush(cause: unknown): boolean {
  return cause instanceof Error && 'syscall' in cause && /^f(data)?sync$/.test(String(cause.syscall))
}

function unavailable(what: string, path: string, cause: unknown, retriable = true): FeedooError {
  return new FeedooError('OUTPUT_UNAVAILABLE', `cannot ${what} ${path}: ${messageOf(cause)}`, { cause, retriable })
}
