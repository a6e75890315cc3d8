// `feedoo run`: the daemon itself.
import { randomUUID } from 'node:crypto'
import { systemClock } from '../core/clock.ts'
import type { Config } from '../core/config/types.ts'
import { FeedooError, messageOf } from '../core/errors.ts'
import { createLogger, type Logger, type LogOptions } from '../core/log.ts'
import { dropPrivileges, futureOwner } from '../core/privileges.ts'
import type { Owner } from '../core/state/file-lock.ts'
import type { StateOptions } from '../core/state/file-state.ts'
import { Supervisor, type Totals } from '../core/supervisor.ts'
import { builtinActions, load, reload } from './load.ts'
import { grouped, showProgress } from './progress.ts'
import { version } from './version.ts'

/** What state files have to know of the process. */
type Self = Pick<StateOptions, 'instance' | 'owner'>

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
  onSignals(supervisor, config, options.file, started, log, { instance, owner })
  log.debug(`opening ${plural(config.pipelines.length, 'pipeline')}`)
  let http: { close(): Promise<void> } | undefined
  try {
    await supervisor.open(config.pipelines)
    http = await startStates(config, supervisor, log)
    if (config.privileges !== undefined) dropPrivileges(config.privileges)
  } catch (error) {
    await supervisor.abandon()
    await http?.close()
    return failed(error, log)
  }
  log.info(`feedoo ${version} runs ${config.pipelines.map(({ name }) => name).join(', ')}`)
  start()
  const began = performance.now()
  const hide = options.progress || process.stderr.isTTY ? showProgress(sourceOf(supervisor), process.stderr) : () => {}
  const errors = await supervisor.run()
  hide()
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

function onSignals(
  supervisor: Supervisor,
  config: Config,
  file: string,
  started: Promise<void>,
  log: Logger,
  self: Self,
): void {
  let running = config
  let stopping = false
  const stop = (signal: NodeJS.Signals) => {
    if (stopping) {
      log.warn(`${signal} again: ending at once`)
      process.exit(1)
    }
    stopping = true
    log.info(`${signal}: reading stops, what was read is written`)
    supervisor.stop(running.shutdownTimeout)
  }
  process.on('SIGTERM', stop)
  process.on('SIGINT', stop)
  process.on('SIGHUP', async () => {
    await started
    running = (await change(supervisor, running, file, log, self)) ?? running
  })
}

/** Reads the configuration again; a wrong one changes nothing. */
async function change(
  supervisor: Supervisor,
  before: Config,
  file: string,
  log: Logger,
  self: Self,
): Promise<Config | undefined> {
  const config = await reload(file, log)
  if (config === undefined) {
    log.error('the configuration is wrong; everything goes on as it was')
    return undefined
  }
  for (const key of ['states', 'privileges'] as const) {
    if (JSON.stringify(before[key]) !== JSON.stringify(config[key])) {
      log.warn(`reload: ${key} has changed, which takes effect when feedoo is started again`)
    }
  }
  const changed = await supervisor.reload(config.pipelines, config.shutdownTimeout, {
    actions: [builtinActions, ...config.plugins],
    deadLetters: config.deadLetters,
    state: { folder: config.stateDir, fsync: config.fsync, ...self },
  })
  log.info(changed.length === 0 ? 'reloaded: no pipeline changed' : `reloaded: ${changed.join(', ')} changed`)
  return config
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
