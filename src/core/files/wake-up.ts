// A hint that something below a folder has changed, so that a follower need not wait for its next scan. Only a hint.
import { watch } from 'chokidar'
import type { Clock } from '../clock.ts'
import type { Logger } from '../log.ts'

/** Seconds between two wake-ups, at least: a busy folder is not scanned without end. */
const minGap = 0.05

export interface WakeUp {
  /** Comes back after `seconds`, sooner when something has changed, and at once when the signal aborts. */
  wait(seconds: number): Promise<void>
  close(): Promise<void>
}

export function wakeUp(folder: string, deep: boolean, clock: Clock, log: Logger, signal: AbortSignal): WakeUp {
  let changed = false
  let nap: AbortController | undefined
  const wake = () => {
    changed = true
    nap?.abort()
  }
  const stop = () => nap?.abort()
  signal.addEventListener('abort', stop, { once: true })
  const watcher = watch(folder, { ignoreInitial: true, ...(deep ? {} : { depth: 0 }) })
  watcher.on('all', wake)
  // Too many watches, a folder that cannot be read: the scan goes on without the hint.
  watcher.on('error', (error) => log.debug({ err: error }, 'changes are seen at the next scan only'))
  return {
    async wait(seconds) {
      if (!changed) {
        nap = new AbortController()
        if (!signal.aborted) await clock.sleep(seconds, nap.signal)
        nap = undefined
      }
      if (changed && !signal.aborted) await clock.sleep(Math.min(minGap, seconds), signal)
      changed = false
    },
    async close() {
      signal.removeEventListener('abort', stop)
      await watcher.close()
    },
  }
}
