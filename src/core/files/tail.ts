// Follows the files that match: scan upon scan, and what there is to read after each.
import type { InputRun } from '../action.ts'
import { FeedooError } from '../errors.ts'
import { TailReader, type TailReaderOptions } from './tail-reader.ts'
import { TailSet, type TailSetOptions } from './tail-set.ts'
import { wakeUp } from './wake-up.ts'

/** Scans in a row that are made without waiting. */
const maxRepeats = 10

export interface TailOptions extends Omit<TailSetOptions, 'signal'>, TailReaderOptions {}

/** Comes back when everything is read (`once`) or the run's signal aborts. Throws INPUT_UNREADABLE, with `once` only. */
export async function tail(options: TailOptions, run: InputRun): Promise<void> {
  const passes = tailPasses(options, run)
  const hint = options.once ? undefined : wakeUp(options.root, options.deep, options.clock, options.log, run.signal)
  try {
    for (let repeats = 0; !run.signal.aborted; ) {
      const next = await passes.pass()
      // Not without end: a file system whose inodes change by themselves would have every scan ask for another.
      repeats = next === 'again' ? repeats + 1 : 0
      if (next === 'again' && repeats < maxRepeats) continue
      if (!options.once) await hint?.wait(next === 'busy' ? 0 : options.refreshInterval)
      else if (next !== 'busy') break
    }
    await passes.finish()
  } finally {
    await hint?.close()
    await passes.close()
  }
}

export interface TailPasses {
  /**
   * One scan, and what there is to read. `again`: something was found out that only another scan can settle; `busy`:
   * there is more to read; `idle`: nothing to do before something changes or time passes.
   */
  pass(): Promise<'again' | 'busy' | 'idle'>
  finish(): Promise<void>
  close(): Promise<void>
}

/** The steps of `tail`, without the waiting between them. */
export function tailPasses(options: TailOptions, run: InputRun): TailPasses {
  const set = new TailSet({ ...options, signal: run.signal }, run.positions)
  const reader = new TailReader(options, set, run)
  return {
    async pass() {
      await set.scan(options.once)
      await reader.rounds()
      await reader.tidy()
      if (set.again) return 'again'
      return reader.busy ? 'busy' : 'idle'
    },
    async finish() {
      await reader.finish()
      if (options.once && !run.signal.aborted) refuse(set.unreadable)
    },
    close: () => set.known.close(),
  }
}

/** A job that could not read everything it was to read has not done its work, whatever it did read. */
function refuse(unreadable: ReadonlyMap<string, string>): void {
  for (const [path, reason] of unreadable) {
    const count = unreadable.size === 1 ? '1 path' : `${unreadable.size} paths, the first`
    throw new FeedooError('INPUT_UNREADABLE', `could not read ${count}: ${path}: ${reason}`)
  }
}
