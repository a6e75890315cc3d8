// `feedoo run`: the daemon itself.

import { systemClock } from '../core/clock.ts'
import type { Config } from '../core/config/types.ts'
import { FeedooError, messageOf } from '../core/errors.ts'
import { createLogger, type Logger, type LogOptions } from '../core/log.ts'
import { sum } from '../core/metrics.ts'
import { dropPrivileges } from '../core/privileges.ts'
import { Supervisor } from '../core/supervisor.ts'
import { builtinActions, load } from './load.ts'
import { grouped, showProgress } from './progress.ts'
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
  const { config } = await load(options.file)
  if (config === undefined) return 2
  const logOptions: LogOptions = { verbosity: options.verbosity, pretty: process.stderr.isTTY === true }
  const log = createLogger(logOptions)
  const supervisor = new Supervisor({
    actions: [builtinActions, ...config.plugins],
    deadLetters: config.deadLetters,
    logOptions,
    log,
    clock: systemClock,
  })
  let http: { close(): Promise<void> } | undefined
  try {
    await supervisor.open(config.pipelines)
    http = await startStates(config, supervisor)
    if (config.privileges !== undefined) dropPrivileges(config.privileges)
  } catch (error) {
    await supervisor.abandon()
    await http?.close()
    log.fatal({ code: error instanceof FeedooError ? error.code : undefined }, messageOf(error))
    return error instanceof FeedooError && error.code === 'CONFIG_INVALID' ? 2 : 1
  }
  onSignals(supervisor, config, options.file, log)
  // After that: who waits for this line may send a signal at once.
  log.info(`feedoo ${version} runs ${config.pipelines.map(({ name }) => name).join(', ')}`)
  const started = performance.now()
  const hide = options.progress || process.stderr.isTTY ? showProgress(sourceOf(supervisor), process.stderr) : () => {}
  const errors = await supervisor.run()
  hide()
  await http?.close()
  log.info(await summary(supervisor, (performance.now() - started) / 1000))
  return errors.length === 0 ? 0 : 1
}

/** The HTTP server is loaded only when it is wanted. */
async function startStates(config: Config, supervisor: Supervisor): Promise<{ close(): Promise<void> } | undefined> {
  if (config.states === undefined) return undefined
  const { startHttp } = await import('../http/server.ts')
  return startHttp({
    ...config.states,
    source: {
      stats: () => supervisor.stats(),
      health: async () => {
        const reasons = await supervisor.problems()
        return { ok: reasons.length === 0, reasons }
      },
    },
  })
}

function onSignals(supervisor: Supervisor, config: Config, file: string, log: Logger): void {
  let stopping = false
  const stop = (signal: NodeJS.Signals) => {
    if (stopping) {
      log.warn(`${signal} again: ending at once`)
      process.exit(1)
    }
    stopping = true
    log.info(`${signal}: reading stops, what was read is written`)
    supervisor.stop(config.shutdownTimeout)
  }
  process.on('SIGTERM', stop)
  process.on('SIGINT', stop)
  process.on('SIGHUP', () => void reload(supervisor, file, log))
}

/** Reads the configuration again; a wrong one changes nothing. */
async function reload(supervisor: Supervisor, file: string, log: Logger): Promise<void> {
  const { config } = await load(file)
  if (config === undefined) {
    log.error('the configuration is wrong; everything goes on as it was')
    return
  }
  const changed = await supervisor.reload(config.pipelines, {
    actions: [builtinActions, ...config.plugins],
    deadLetters: config.deadLetters,
  })
  log.info(changed.length === 0 ? 'reloaded: nothing changed' : `reloaded: ${changed.join(', ')} changed`)
}

function sourceOf(supervisor: Supervisor) {
  return {
    share: () => supervisor.progress(),
    events: async () => Object.values(await supervisor.stats()).reduce((total, { events }) => total + events, 0),
  }
}

async function summary(supervisor: Supervisor, seconds: number): Promise<string> {
  const pipelines = Object.values(await supervisor.stats())
  const events = pipelines.reduce((total, pipeline) => total + pipeline.events, 0)
  const actions = pipelines.flatMap((pipeline) => pipeline.actions)
  const count = (key: 'errors' | 'dead_letters') => actions.reduce((total, action) => total + sum(action[key]), 0)
  const rate = grouped(Math.round(events / Math.max(seconds, 0.001)))
  return `done: ${grouped(events)} events in ${seconds.toFixed(1)} s, ${rate}/s, ${grouped(count('errors'))} errors, ${grouped(count('dead_letters'))} dead letters`
}
