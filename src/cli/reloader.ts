// Reloads of the running daemon: one at a time, told to the log and to whoever asked.
import type { Config } from '../core/config/types.ts'
import { messageOf } from '../core/errors.ts'
import type { Logger } from '../core/log.ts'
import type { StateOptions } from '../core/state/file-state.ts'
import type { Changes, Supervisor } from '../core/supervisor.ts'
import type { Outcome } from './control.ts'
import { builtinActions, reload } from './load.ts'

export interface ReloaderOptions {
  file: string
  supervisor: Supervisor
  log: Logger
  /** What state files have to know of the process. */
  self: Pick<StateOptions, 'instance' | 'owner'>
  /** Resolves when the pipelines run. */
  started: Promise<void>
}

export class Reloader {
  /** The configuration that runs. */
  running: Config
  readonly #options: ReloaderOptions
  #last: Promise<unknown>
  /** The reload that has not read the file yet: whoever asks now is answered by it, too. */
  #next: Promise<Outcome> | undefined

  constructor(running: Config, options: ReloaderOptions) {
    this.running = running
    this.#options = options
    this.#last = options.started
  }

  /** Reads the configuration again, behind the reloads before; a wrong one changes nothing. */
  reload(): Promise<Outcome> {
    this.#next ??= this.#last.then(() => {
      this.#next = undefined
      return this.#reloadOnce()
    })
    this.#last = this.#next
    return this.#next
  }

  async #reloadOnce(): Promise<Outcome> {
    const { file, supervisor, log, self } = this.#options
    try {
      const { config, text } = await reload(file, log)
      if (config === undefined) {
        const nothing = 'the configuration is wrong; everything goes on as it was'
        log.error(nothing)
        return { code: 2, text: `${text}${nothing}\n` }
      }
      const notes = this.#waitForRestart(config)
      const changes = await supervisor.reload(config.pipelines, config.shutdownTimeout, {
        actions: [builtinActions, ...config.plugins],
        deadLetters: config.deadLetters,
        state: { folder: config.stateDir, fsync: config.fsync, ...self },
      })
      this.running = config
      const done = summaryOf(changes)
      log.info(done)
      const failed = changes.failed.map(({ pipeline, reason, isTriedAgain }) => {
        const next = isTriedAgain ? 'trying again until it works' : 'it does not run until that is mended and reloaded'
        return `${pipeline}: ${reason}; ${next}\n`
      })
      return { code: failed.length === 0 ? 0 : 1, text: [text, ...notes, `${done}\n`, ...failed].join('') }
    } catch (error) {
      log.error({ err: error }, 'the reload failed')
      return { code: 1, text: `the reload failed: ${messageOf(error)}\n` }
    }
  }

  #waitForRestart(config: Config): string[] {
    const changed = (['states', 'privileges'] as const).filter(
      (key) => JSON.stringify(this.running[key]) !== JSON.stringify(config[key]),
    )
    return changed.map((key) => {
      const note = `reload: ${key} has changed, which takes effect when feedoo is started again`
      this.#options.log.warn(note)
      return `${note}\n`
    })
  }
}

function summaryOf({ changed, added, removed, restarted }: Changes): string {
  const parts = Object.entries({ changed, added, removed, 'started again': restarted }).flatMap(([what, names]) =>
    names.length === 0 ? [] : [`${names.join(', ')} ${what}`],
  )
  return parts.length === 0 ? 'reloaded: no pipeline changed' : `reloaded: ${parts.join('; ')}`
}
