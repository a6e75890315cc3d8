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
 * written, or when the inputs have ended by themselves and not everything has arrived: tables and rows that could not
 * be read, events in the dead letters; 2 when the configuration is wrong.
 */
export async function run(options: RunOptions): Promise<number> {
  // From the start: by itself the first SIGHUP would end the process.
  const hangups = holdHangups()
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
  // What is told to stop while it starts, stops as soon as it has started; a reload waits as long.
  let start = () => {}
  const started = new Promise<void>((resolve) => {
    start = resolve
  })
  const reloader = new Reloader(config, { file: options.file, supervisor, log, self: { instance, owner }, started })
  const wasStopped = onSignals(supervisor, reloader, hangups, log)
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
  const totals = await supervisor.totals()
  summarize(totals, errors.length, (performance.now() - began) / 1000, log)
  const isComplete = wasStopped() || (totals.deadLetters === 0 && totals.unread === 0)
  return errors.length === 0 && isComplete ? 0 : 1
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

/** Returns what says whether a signal has told to stop. */
function onSignals(supervisor: Supervisor, reloader: Reloader, hangups: Hangups, log: Logger): () => boolean {
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
  hangups(() => void reloader.reload())
  return () => stopping
}

/** Says what takes SIGHUP from now on; one that came before is given to it. */
type Hangups = (take: () => void) => void

function holdHangups(): Hangups {
  let came = false
  let take = () => {
    came = true
  }
  process.on('SIGHUP', () => take())
  return (next) => {
    take = next
    if (came) next()
  }
}

function sourceOf(supervisor: Supervisor) {
  return { share: () => supervisor.progress(), events: async () => (await supervisor.totals()).events }
}

/** `failures`: pipelines that an error has ended; the totals do not count these errors. */
function summarize(totals: Totals, failures: number, seconds: number, log: Logger): void {
  const { events, deadLetters, unread, outputs } = totals
  const errors = totals.errors + failures
  const rate = Math.round(events / Math.max(seconds, 0.001))
  const data = {
    events,
    seconds: Number(seconds.toFixed(3)),
    events_per_second: rate,
    outputs: Object.fromEntries(outputs),
    errors,
    dead_letters: deadLetters,
    unread,
  }
  const texts = [
    `${plural(events, 'event')} in ${seconds.toFixed(1)} s, ${grouped(rate)}/s`,
    ...Array.from(outputs, ([name, count]) => `${grouped(count)} to ${name}`),
    `${plural(errors, 'error')}, ${plural(deadLetters, 'dead letter')}`,
  ]
  if (unread > 0) texts.push(`${plural(unread, 'table or row', 'tables or rows')} could not be read`)
  log.info(data, `${failures > 0 ? 'failed' : 'done'}: ${texts.join('; ')}`)
}

function plural(count: number, one: string, many = `${one}s`): string {
  return `${grouped(count)} ${count === 1 ? one : many}`
}
