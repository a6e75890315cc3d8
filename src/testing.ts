// The public entry for tests: what a plugin imports from 'feedoo/testing' to run the examples of its actions.
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { parse } from 'yaml'
import { z } from 'zod'
import type { ActionSpec, Example, ExampleEvent } from './core/action.ts'
import { systemClock } from './core/clock.ts'
import type { Event } from './core/event.ts'
import { createLogger } from './core/log.ts'
import { Pipeline } from './core/pipeline.ts'
import { Registry } from './core/registry.ts'

export interface ExampleRun {
  /** What came out, without the time where the example's own `out` has none. */
  out: ExampleEvent[]
  /** The files there are afterwards, by their path below `{dir}`. */
  files: Record<string, string>
}

/** Milliseconds in which an input without end may send more than the example says, before it is stopped. */
const surplusTime = 100

const actionList = z.array(z.looseObject({ name: z.string() })).min(1)

/**
 * Runs an example of an action as a real pipeline, in this thread, in a scratch folder that is removed afterwards.
 * `specs` are the actions its YAML names. Throws for YAML and parameters that `feedoo check` would refuse. An input
 * without end is stopped soon after as many events came out as the example says.
 */
export async function runExample(example: Example, specs: readonly ActionSpec[]): Promise<ExampleRun> {
  const dir = mkdtempSync(join(tmpdir(), 'feedoo-example-'))
  try {
    for (const [path, text] of Object.entries(example.files ?? {})) {
      mkdirSync(dirname(join(dir, path)), { recursive: true })
      writeFileSync(join(dir, path), text)
    }
    const out = await runActions(example.yaml.replaceAll('{dir}', dir), example, specs)
    return { out: out.map((event, index) => shown(event, example.out[index])), files: filesBelow(dir) }
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}

async function runActions(yaml: string, example: Example, specs: readonly ActionSpec[]): Promise<Event[]> {
  const log = createLogger({ verbosity: 0, pretty: false })
  log.level = 'silent'
  const out: Event[] = []
  const stop = new AbortController()
  let stopping: NodeJS.Timeout | undefined
  const stopSoon = () => {
    stopping = setTimeout(() => stop.abort(), surplusTime)
  }
  const actions = actionList.parse(parse(yaml, { merge: true })).map(({ name, label, ...params }) => ({
    name,
    label: String(label ?? name),
    params,
    at: 'example',
  }))
  const pipeline = new Pipeline(
    { name: 'example', actions },
    {
      registry: new Registry(specs),
      clock: systemClock,
      log,
      ...(example.dns === undefined ? {} : { dns: async (name: string) => example.dns?.[name] ?? [] }),
      sink: (event) => {
        if (out.push(event) === example.out.length) stopSoon()
      },
    },
  )
  await pipeline.open()
  await pipeline.inject(
    (example.in ?? []).map((event) => ({ timestamp: systemClock.now(), ...structuredClone(event) })),
  )
  if (example.out.length === 0) stopSoon()
  await pipeline.run(stop.signal)
  clearTimeout(stopping)
  return out
}

function shown({ tag, timestamp, record }: Event, expected: ExampleEvent | undefined): ExampleEvent {
  return expected !== undefined && expected.timestamp === undefined ? { tag, record } : { tag, timestamp, record }
}

function filesBelow(dir: string): Record<string, string> {
  const entries = readdirSync(dir, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  const paths = entries.map((entry) => join(entry.parentPath, entry.name)).sort()
  return Object.fromEntries(paths.map((path) => [path.slice(dir.length + 1), readFileSync(path, 'utf8')]))
}
