#!/usr/bin/env node
// The `feedoo` command: arguments in, exit code out.
import './core/regexp-engine.ts'
import { once } from 'node:events'
import { inspect } from 'node:util'
import { Command } from 'commander'
import type { ReplayCommand } from './cli/replay.ts'
import { version } from './cli/version.ts'
import { nearest } from './core/config/nearest.ts'
import { FeedooError, messageOf, systemCode } from './core/errors.ts'
import { fileKind } from './core/file-kind.ts'
import { loadActions, type Registry } from './core/registry.ts'

const defaultFile = '/etc/feedoo/default.yaml'

process.stdout.on('error', (error) => {
  // Nobody reads on, as in `feedoo schema | head`: nothing has failed.
  if (systemCode(error) === 'EPIPE') process.exit()
  writeError(`feedoo: cannot write to the standard output: ${messageOf(error)}\n`)
  process.exit(1)
})
// There is nobody left to tell, and no reason to end.
process.stderr.on('error', () => {})

const program = new Command('feedoo')
  .description(
    'Events flow through pipelines of input, parser, filter and output actions; rules turn them into alerts.',
  )
  .version(version)
  .showHelpAfterError()
  .exitOverride((error) => {
    // Commander uses 1 for a command line it does not understand; 2 is "nothing was started" everywhere here.
    process.exit(error.exitCode === 0 ? 0 : 2)
  })
  .addHelpText(
    'after',
    `
Examples:
  $ feedoo init .                     write a commented starter configuration
  $ feedoo check default.yaml         point at what is wrong with it
  $ feedoo default.yaml               run it
  $ feedoo test default.yaml          run the tests of its rules
  $ feedoo actions parser_regex       what an action does and takes

Exit codes: 0 done, 1 failed, 2 wrong configuration or command line (nothing was started).`,
  )

const more = (_: string, previous: number) => previous + 1
const fileArgument = `the configuration; without one, ${defaultFile}`

program
  .command('run', { isDefault: true })
  .description('run the pipelines until their inputs end or a signal stops them (the default command)')
  .argument('[file]', fileArgument)
  .option('-c, --config <file>', 'the same as FILE')
  .option('-v, --verbose', 'show debug messages; -vv traces', more, 0)
  .option('--progress', 'show the progress of finite jobs also when this is not a terminal', false)
  .action(async (given: string | undefined, options: { config?: string; verbose: number; progress: boolean }) => {
    const file = (await isSlip(given)) ? undefined : configFile(given, options.config)
    if (file === undefined) return end(2)
    const { run } = await import('./cli/run.ts')
    end(await run({ file, verbosity: options.verbose, progress: options.progress }))
  })

program
  .command('check')
  .description('check a configuration and point at every mistake')
  .argument('[file]', fileArgument)
  .option('-c, --config <file>', 'the same as FILE')
  .action(async (given: string | undefined, { config }: { config?: string }) => {
    const file = configFile(given, config)
    if (file === undefined) return end(2)
    const { check } = await import('./cli/check.ts')
    end(await check(file))
  })

program
  .command('test')
  .description('run the tests of a configuration: do its rules alert when they should, and only then?')
  .argument('[file]', fileArgument)
  .option('-c, --config <file>', 'the same as FILE')
  .option('--pipeline <name>', 'only the tests of this pipeline')
  .option('--junit <file>', 'also write the results as JUnit XML')
  .action(async (given: string | undefined, options: { config?: string; pipeline?: string; junit?: string }) => {
    const file = configFile(given, options.config)
    if (file === undefined) return end(2)
    const { testCommand } = await import('./cli/test.ts')
    end(await testCommand({ file, pipeline: options.pipeline, junit: options.junit }, write, writeError))
  })

program
  .command('replay')
  .description('play recorded events through the rules of a pipeline, by their own time; nothing is sent anywhere')
  .argument('[file]', fileArgument)
  .option('-c, --config <file>', 'the same as FILE')
  .option('--pipeline <name>', 'the pipeline; needed when there are several')
  .requiredOption('--from <path...>', 'what was recorded: files and globs, also .gz and .zst')
  .option('--alerts <file>', 'write the alerts as JSON lines; - is the standard output')
  .option('--speed <max|n>', 'how many times faster than it was', 'max')
  .option('--tag <tag>', 'the tag of lines that name none, if not that of the input')
  .option('--time-key <key>', 'the field of a record that holds its time', 'timestamp')
  .option('--raw', 'every line is the line of a log, also one that is JSON', false)
  .option('--now <date>', 'when lines without a time arrive, if not when their file was last changed')
  .option('--dns', 'ask name servers; without it no name exists', false)
  .action(async (given: string | undefined, options: Omit<ReplayCommand, 'file'> & { config?: string }) => {
    const file = configFile(given, options.config)
    if (file === undefined) return end(2)
    const { replayCommand } = await import('./cli/replay.ts')
    end(await replayCommand({ ...options, file }, write, writeError))
  })

program
  .command('reload')
  .description('have the running daemon read its configuration again, and show what changed or what is wrong with it')
  .argument('[file]', fileArgument)
  .option('-c, --config <file>', 'the same as FILE')
  .action(async (given: string | undefined, { config }: { config?: string }) => {
    const file = configFile(given, config)
    if (file === undefined) return end(2)
    const { reloadCommand } = await import('./cli/reload.ts')
    end(await reloadCommand(file, write, writeError))
  })

const withPlugins = 'also know the plugins of this configuration'

program
  .command('actions')
  .argument('[name]', 'one action')
  .description('list the actions, or show what one does and takes')
  .option('-c, --config <file>', withPlugins)
  .option('--json', 'as data', false)
  .action(async (name: string | undefined, { config, json }: { config?: string; json: boolean }) => {
    const { actionsCommand } = await import('./cli/actions.ts')
    const registry = await registryOf(config)
    end(registry === undefined ? 2 : actionsCommand(registry, name, { json }, write, writeError))
  })

program
  .command('schema')
  .description('print the JSON Schema of the configuration, for editors')
  .option('-c, --config <file>', withPlugins)
  .action(async ({ config }: { config?: string }) => {
    const { schemaCommand } = await import('./cli/schema.ts')
    const registry = await registryOf(config)
    end(registry === undefined ? 2 : schemaCommand(registry, write))
  })

program
  .command('init')
  .argument('[dir]', 'the folder', '.')
  .description('write a commented starter configuration')
  .action(async (directory: string) => {
    const { initCommand } = await import('./cli/init.ts')
    const registry = await registryOf(undefined)
    end(registry === undefined ? 2 : initCommand(directory, registry, write, writeError))
  })

const state = program
  .command('state')
  .description('look at what the state files hold, also while feedoo runs; nothing is changed')
for (const [what, description] of [
  ['show', 'in short: commits, positions, keys of the rules, what waits in buffers'],
  ['export', 'all of it, as JSON lines'],
  ['check', 'read all of it: is it whole?'],
] as const) {
  state
    .command(what)
    .description(description)
    .argument('[file]', 'a state file, or a copy of one')
    .option('-c, --config <file>', `all state files of this configuration; without FILE, that is ${defaultFile}`)
    .option('--pipeline <name>', 'only what belongs to this pipeline')
    .option('--json', 'as data, a file a line', false)
    .action(async (file: string | undefined, options: { config?: string; pipeline?: string; json: boolean }) => {
      const from = fileOrConfig(file, options.config)
      if (from === undefined) return end(2)
      const { stateCommand } = await import('./cli/state.ts')
      end(await stateCommand({ ...options, what, from }, writeOut, writeError))
    })
}

const deadLetters = program
  .command('dead-letters')
  .description('look at what could not be handled, send it through its pipeline again, or throw it away')
interface LetterOptions {
  config?: string
  pipeline?: string
  action?: string
  code?: string
  since?: string
  json: boolean
  all: boolean
}
for (const [what, description] of [
  ['list', 'how many there are, by pipeline, action and code, with a sample'],
  ['drop', 'take letters out of the file for good'],
] as const) {
  withLetterFilters(deadLetters.command(what), description)
    .argument('[file]', 'the file of `dead_letters`')
    .option('-c, --config <file>', `the file that this configuration names; without FILE, that is ${defaultFile}`)
    .option(what === 'list' ? '--json' : '--all', what === 'list' ? 'as data' : 'all letters', false)
    .action(async (file: string | undefined, options: LetterOptions) => {
      const from = fileOrConfig(file, options.config)
      if (from === undefined) return end(2)
      const { dropCommand, listCommand } = await import('./cli/dead-letters.ts')
      const run = what === 'list' ? listCommand : dropCommand
      end(await run({ ...options, from }, write, writeError))
    })
}
withLetterFilters(
  deadLetters.command('replay'),
  'send letters into their actions again, with real outputs; what fails again stays. Not while feedoo runs the pipeline',
)
  .option('-c, --config <file>', 'the configuration', defaultFile)
  .action(async (options: LetterOptions & { config: string }) => {
    const { replayLettersCommand } = await import('./cli/dead-letters-replay.ts')
    end(await replayLettersCommand(options, write, writeError))
  })

function withLetterFilters(command: Command, description: string): Command {
  return command
    .description(description)
    .option('--pipeline <name>', 'only those of this pipeline')
    .option('--action <label>', 'only those of this action')
    .option('--code <code>', 'only those with this error code')
    .option('--since <date>', 'only those that came since; also "2 hours ago"')
}

try {
  await program.parseAsync()
} catch (error) {
  // A sentence for what is known to go wrong; the stack only for a fault of ours.
  writeError(error instanceof FeedooError ? `feedoo: ${error.message}\n` : `${inspect(error)}\n`)
  end(1)
}

/** Whether what stands where a file may stand is a misspelt command; that has been said then. */
async function isSlip(given: string | undefined): Promise<boolean> {
  // Behind an explicit `run` it is a file.
  if (given === undefined || program.args[0] === 'run' || /\.ya?ml$/.test(given)) return false
  if ((await fileKind(given)) !== undefined) return false
  const names = program.commands.map((command) => command.name())
  const meant = nearest(given, names)
  const hint = meant === undefined ? `there are ${names.join(', ')}` : `did you mean ${meant}?`
  const order = 'the command stands before its options'
  writeError(`feedoo: ${meant === given ? order : `unknown command ${given}, ${hint}`}\n`)
  return true
}

/** The one configuration that is named; undefined when there are two, which has been said then. */
function configFile(given: string | undefined, option: string | undefined): string | undefined {
  if (given === undefined || option === undefined) return given ?? option ?? defaultFile
  writeError(`feedoo: there are two configurations, ${given} and ${option}; give one\n`)
  return undefined
}

/** What a command looks at: a file of ours, or what a configuration names. */
function fileOrConfig(
  file: string | undefined,
  config: string | undefined,
): { file: string } | { config: string } | undefined {
  if (file === undefined) return { config: config ?? defaultFile }
  if (config === undefined) return { file }
  writeError(`feedoo: there are a file, ${file}, and a configuration, ${config}; give one\n`)
  return undefined
}

async function registryOf(config: string | undefined): Promise<Registry | undefined> {
  const { builtinActions, load } = await import('./cli/load.ts')
  if (config === undefined) return loadActions([builtinActions])
  const { config: loaded, registry } = await load(config)
  return loaded === undefined ? undefined : registry
}

function write(text: string): void {
  process.stdout.write(text)
}

/** Comes back when there is room for more. */
async function writeOut(text: string): Promise<void> {
  if (!process.stdout.write(text)) await once(process.stdout, 'drain')
}

function writeError(text: string): void {
  process.stderr.write(text)
}

/** Ends with an exit code once the output is flushed; nothing may keep the process alive beyond that. */
function end(code: number): void {
  process.exitCode = code
}
