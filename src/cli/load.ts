// What every command that reads a configuration does first: read, check, show all mistakes at once.
import { moduleUrl } from '../core/built-files.ts'
import { formatDiagnostic } from '../core/config/diagnostic.ts'
import { type LoadedConfig, loadConfig } from '../core/config/load.ts'
import type { Config } from '../core/config/types.ts'
import type { Logger } from '../core/log.ts'
import { loadActions, type Registry } from '../core/registry.ts'

/** The module with the built-in actions. */
export const builtinActions = moduleUrl('actions/index')

export interface Loaded {
  /** Undefined when there are mistakes; they have been written. */
  config: Config | undefined
  registry: Registry
  warnings: number
}

/**
 * Reads a configuration and writes what is wrong with it to standard error. `consequence` ends the last line, which
 * counts the mistakes. Without `warn`, warnings are left to `feedoo check`.
 */
export async function load(file: string, consequence = '', { warn = true } = {}): Promise<Loaded> {
  const { config, diagnostics: all, registry } = await read(file)
  const diagnostics = all.filter(({ severity }) => warn || severity === 'error')
  const color = process.stderr.isTTY === true && process.env.NO_COLOR === undefined
  for (const diagnostic of diagnostics) process.stderr.write(`${formatDiagnostic(diagnostic, { color })}\n`)
  const errors = diagnostics.filter(({ severity }) => severity === 'error').length
  const warnings = diagnostics.length - errors
  const count = errors === 1 ? '1 error' : `${errors} errors`
  if (errors > 0) process.stderr.write(`${count}${consequence === '' ? '' : `; ${consequence}`}\n`)
  return { config, registry, warnings }
}

/**
 * Reads a configuration while the daemon runs: what is wrong with it goes to the log, a line each. `text` says it as
 * `load` does.
 */
export async function reload(file: string, log: Logger): Promise<{ config: Config | undefined; text: string }> {
  const { config, diagnostics } = await read(file)
  for (const diagnostic of diagnostics) {
    const [place = ''] = formatDiagnostic(diagnostic).split('\n')
    const line = diagnostic.hint === undefined ? place : `${place}; ${diagnostic.hint}`
    if (diagnostic.severity === 'error') log.error({ code: 'CONFIG_INVALID' }, line)
    else log.warn(line)
  }
  return { config, text: diagnostics.map((diagnostic) => `${formatDiagnostic(diagnostic)}\n`).join('') }
}

function read(file: string): Promise<LoadedConfig> {
  return loadConfig(file, {
    env: process.env,
    loadRegistry: (plugins) => loadActions([builtinActions, ...plugins]),
  })
}
