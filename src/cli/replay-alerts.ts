// Writes alerts as JSON lines, to a file or to the standard output.
import { closeSync, openSync, writeSync } from 'node:fs'
import { FeedooError, systemCode } from '../core/errors.ts'
import type { Event } from '../core/event.ts'
import { fileReason } from '../core/file-reason.ts'
import { stringifyJson } from '../core/json.ts'

export interface AlertFile {
  add(event: Event): void
  /** Writes what was added. */
  flush(): void
  close(): void
}

/** Characters gathered before they are written. */
const pieceLength = 64 * 1024
/** Milliseconds before a full pipe is tried again. */
const fullDelay = 5

/** Starts the file anew; `-` is the standard output. All of it throws OUTPUT_UNAVAILABLE, or STDOUT_CLOSED when nobody reads on. */
export function alertFile(path: string): AlertFile {
  const toStdout = path === '-'
  let text = ''
  const attempt = <Result>(action: () => Result): Result => {
    try {
      return action()
    } catch (cause) {
      if (systemCode(cause) === 'EPIPE') throw new FeedooError('STDOUT_CLOSED', 'nobody reads the alerts', { cause })
      throw new FeedooError('OUTPUT_UNAVAILABLE', `cannot write ${path}: ${fileReason(cause)}`, { cause })
    }
  }
  const fd = toStdout ? 1 : attempt(() => openSync(path, 'w', 0o640))
  const flush = () => {
    if (text === '') return
    const bytes = Buffer.from(text)
    text = ''
    attempt(() => writeAll(fd, bytes))
  }
  return {
    add({ tag, timestamp, record, metadata }) {
      // What it is comes before what caused it.
      text += `${stringifyJson({ tag, timestamp, record, ...metadata })}\n`
      if (text.length >= pieceLength) flush()
    },
    flush,
    close() {
      flush()
      if (!toStdout) attempt(() => closeSync(fd))
    },
  }
}

function writeAll(fd: number, bytes: Buffer): void {
  let written = 0
  while (written < bytes.length) {
    try {
      written += writeSync(fd, bytes, written)
    } catch (error) {
      if (systemCode(error) !== 'EAGAIN') throw error
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, fullDelay)
    }
  }
}
