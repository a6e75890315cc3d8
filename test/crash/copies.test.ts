// Copies of a state file that are made while the daemon commits to it: each is whole.
import { copyFileSync, existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import sqlite from 'better-sqlite3'
import { expect, test, vi } from 'vitest'
import { stateCommand } from '../../src/cli/state.ts'
import { Daemon, scratchFolder } from '../helpers/daemon.ts'
import { freePort, seeded } from './lab.ts'
import { Sender } from './sender.ts'

const copies = 25
/** Frames that the sender lets wait for their acknowledgement. */
const window = 4
/** Pages of a step of a backup: all at once, or else it begins anew with each commit. */
const allPages = 1_000_000
const soon = { timeout: 15_000, interval: 5 }

type Copy = (from: string, to: string, daemon: Daemon) => Promise<void>

const backup: Copy = async (from, to) => {
  const database = sqlite(from, { readonly: true })
  try {
    await database.backup(to, { progress: () => allPages })
  } finally {
    database.close()
  }
}

/** While the daemon stands still, wherever it is, two files can be copied one after the other. */
const snapshot: Copy = async (from, to, daemon) => {
  daemon.signal('SIGSTOP')
  await vi.waitFor(() => expect(new Set(threadStates(daemon.pid))).toEqual(new Set(['T'])), soon)
  for (const journal of ['', '-wal']) if (existsSync(from + journal)) copyFileSync(from + journal, to + journal)
  daemon.signal('SIGCONT')
}

test.each([
  ['.backup', backup],
  ['a snapshot of the file and its journal', snapshot],
])('copies of a state file under load, by %s, are all whole', async (_, copy) => {
  const folder = await scratchFolder()
  const port = await freePort()
  const daemon = await Daemon.start(
    `state_dir: "{dir}/state"
pipelines:
  main:
    - {name: input_forward, host: 127.0.0.1, port: ${port}}
    - {name: filter_frequency, match: app, tag: alert, query_key: user, num_events: 50, timeframe: 1000}
    - {name: output_archive, path_template: "{dir}/out/a.jsonl"}
`,
    folder,
  )
  const events = (frame: number) =>
    Array.from({ length: 100 }, (_, i) => ({ timestamp: 1_600_000_000, record: { user: (frame * 100 + i) % 5_000 } }))
  const sender = new Sender({ port, tag: 'app', events, window, frames: Number.POSITIVE_INFINITY })
  const done = sender.run()
  const random = seeded(7)
  const commits: number[] = []
  for (let n = 0; n < copies; n++) {
    const { acknowledged } = sender
    // What was on its way at the last copy may be answered by the commit that is in it: one more frame is of a later one.
    await vi.waitFor(() => expect(sender.acknowledged).toBeGreaterThan(acknowledged + window), soon)
    // Anywhere in a commit.
    await delay(random() * 20)
    const to = join(folder, `copy-${n}.sqlite`)
    await copy(join(folder, 'state/main.sqlite'), to, daemon)
    expect(await stateOf('check', to)).toMatch(/: ok, format \d+\n$/)
    commits.push(commitOf(await stateOf('show', to)))
  }
  sender.stop()
  await done
  daemon.signal('SIGTERM')
  expect(await daemon.exit(), daemon.stderr).toBe(0)
  // Each is of another moment.
  expect(commits).toEqual([...new Set(commits)].sort((a, b) => a - b))
})

async function stateOf(what: 'check' | 'show', file: string): Promise<string> {
  let text = ''
  const take = (part: string) => {
    text += part
  }
  await stateCommand({ what, from: { file }, json: what === 'show' }, async (part) => take(part), take)
  return text
}

function commitOf(summary: string): number {
  return Number(/"commits":(\d+)/.exec(summary)?.[1])
}

function threadStates(pid: number): string[] {
  return readdirSync(`/proc/${pid}/task`).map((thread) => {
    const stat = readFileSync(`/proc/${pid}/task/${thread}/stat`, 'utf8')
    // The name before it may hold anything but ends with the last bracket.
    return stat.slice(stat.lastIndexOf(')') + 2)[0] ?? ''
  })
}
