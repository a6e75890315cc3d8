// `feedoo run`: the daemon itself.
import { randomUUID } from 'node:crypto'
import { systemClock } from '../core/clock.ts'
import type { Config } from '../core/config/types.ts'
import { FeedooError, messageOf } from '../core/errors.ts'
import { createLogger, type Logger, type LogOptions } from '../core/log.ts'
import { dropPrivileges, futureOwner } from '../core/privileges.ts'
import type { Owner } from '../core/state/file-lock.ts'
import { Supervisor, type Totals } from '../core/supervisor.ts'
import { startControl } from './control.ts'
import { builtinActions, load } from './load.ts'
import { grouped, showProgress } from './progress.ts'
import { Reloader } from './reloader.ts'
import { version } from './version.ts'

export interface RunOptions {
  file: string
  verbosity: number
  progress: boolean
}

/**
 * Runs until every input has ended or a signal says stop. Exit code 0; 1 when something could not be opened or
 * written; 2 when the configuration is wrong.
 */
export async function run(options: RunOptions): Promise<number> {
  const { config } = await load(options.file, 'nothing was started')
  if (config === undefined) return 2
  const logOptions: LogOptions = { verbosity: options.verbosity, pretty: process.stderr.isTTY === true }
  const log = createLogger(logOptions)
  let owner: Owner | undefined
  try {
    owner = config.privileges && futureOwner(config.privileges)
  } catch (error) {
    return failed(error, log)
  }
  const instance = randomUUID()
  const supervisor = new Supervisor({
    state: { folder: config.stateDir, fsync: config.fsync, instance, owner },
    actions: [builtinActions, ...config.plugins],
    deadLetters: config.deadLetters,
    logOptions,
    log,
    clock: systemClock,
  })
  // From the start: what is told to stop while it starts, stops as soon as it has started.
  let start = () => {}
  const started = new Promise<void>((resolve) => {
    start = resolve
  })
  const reloader = new Reloader(config, { file: options.file, supervisor, log, self: { instance, owner }, started })
  onSignals(supervisor, reloader, log)
  log.debug(`opening ${plural(config.pipelines.length, 'pipeline')}`)
  let http: { close(): Promise<void> } | undefined
  let control: { close(): void } | undefined
  try {
    await supervisor.open(config.pipelines)
    http = await startStates(config, supervisor, log)
    control = await startControl(options.file, () => reloader.reload(), log)
    if (config.privileges !== undefined) dropPrivileges(config.privileges)
  } catch (error) {
    await supervisor.abandon()
    control?.close()
    await http?.close()
    return failed(error, log)
  }
  log.info(`feedoo ${version} runs ${config.pipelines.map(({ name }) => name).join(', ')}`)
  start()
  const began = performance.now()
  const hide = options.progress || process.stderr.isTTY ? showProgress(sourceOf(supervisor), process.stderr) : () => {}
  const errors = await supervisor.run()
  hide()
  control?.close()
  await http?.close()
  log.info(summary(await supervisor.totals(), (performance.now() - began) / 1000))
  return errors.length === 0 ? 0 : 1
}

/** Says why it does not start; returns the exit code. */
function failed(error: unknown, log: Logger): number {
  log.fatal({ code: error instanceof FeedooError ? error.code : undefined }, messageOf(error))
  return error instanceof FeedooError && error.code === 'CONFIG_INVALID' ? 2 : 1
}

/** The HTTP server is loaded only when it is wanted. */
async function startStates(
  config: Config,
  supervisor: Supervisor,
  log: Logger,
): Promise<{ close(): Promise<void> } | undefined> {
  if (config.states === undefined) return undefined
  const { startHttp } = await import('../http/server.ts')
  return startHttp({
    ...config.states,
    log,
    source: {
      stats: () => supervisor.stats(),
      health: async () => {
        const reasons = await supervisor.problems()
        return { ok: reasons.length === 0, reasons }
      },
    },
  })
}

function onSignals(supervisor: Supervisor, reloader: Reloader, log: Logger): void {
  let stopping = false
  const stop = (signal: NodeJS.Signals) => {
    if (stopping) {
      log.warn(`${signal} again: ending at once`)
      process.exit(1)
    }
    stopping = true
    log.info(`${signal}: reading stops, what was read is written`)
    supervisor.stop(reloader.running.shutdownTimeout)
  }
  process.on('SIGTERM', stop)
  process.on('SIGINT', stop)
  process.on('SIGHUP', () => void reloader.reload())
}

function sourceOf(supervisor: Supervisor) {
  return { share: () => supervisor.progress(), events: async () => (await supervisor.totals()).events }
}

function summary({ events, errors, deadLetters }: Totals, seconds: number): string {
  const rate = grouped(Math.round(events / Math.max(seconds, 0.001)))
  const time = seconds.toFixed(1)
  return `done: ${plural(events, 'event')} in ${time} s, ${rate}/s, ${plural(errors, 'error')}, ${plural(deadLetters, 'dead letter')}`
}

function plural(count: number, what: string): string {
  return `${grouped(count)} ${what}${count === 1 ? '' : 's'}`
}
