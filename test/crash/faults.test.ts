// What goes wrong around the daemon, and passes: disks that are full or read-only, files, senders and targets that are away.
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import sqlite from 'better-sqlite3'
import { afterAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import { Daemon, scratchFolder } from '../helpers/daemon.ts'
import { ForwardReceiver, freePort } from '../helpers/forward-receiver.ts'
import { mountSmallDisk } from '../helpers/small-disk.ts'
import { numbersIn, seeded } from './lab.ts'
import { Sender, type SenderOptions } from './sender.ts'

const perFrame = 20
/** Frames of a sender that are on their way at once: when one more is acknowledged, it was sent since. */
const window = 4
const frames = 200
const padding = 'x'.repeat(200)
const soon = { timeout: 15_000, interval: 20 }

/** Sends numbered events until `stop`. */
function sending(port: number, options: Partial<SenderOptions> = {}): { sender: Sender; done: Promise<void> } {
  const events = (index: number) =>
    Array.from({ length: perFrame }, (_, i) => ({
      timestamp: 1_600_000_000 + index,
      record: { n: index * perFrame + i, padding },
    }))
  const sender = new Sender({ port, tag: 'app', events, window, frames: Number.POSITIVE_INFINITY, ...options })
  return { sender, done: sender.run() }
}

/** `state_dir`, an input_forward, and other actions. */
function yaml(port: number, outputs: string, { state = '{dir}/state', more = '' } = {}): string {
  return `state_dir: "${state}"\n${more}pipelines:\n  main:\n    - {name: input_forward, host: 127.0.0.1, port: ${port}}\n${outputs}`
}

const archive = (folder = '{dir}') =>
  `    - {name: output_archive, path_template: "${folder}/out/%H%M.jsonl", retry_delay: 0.05, retry_max_delay: 0.2}\n`

const away = (port: number, options = '') =>
  `    - {name: output_forward, host: 127.0.0.1, port: ${port}, recover_wait: 0.05, retry_delay: 0.05, retry_max_delay: 0.2${options}}\n`

function archived(folder: string): number[] {
  const out = join(folder, 'out')
  if (!existsSync(out)) return []
  return readdirSync(out)
    .sort()
    .flatMap((name) => numbersIn(readFileSync(join(out, name), 'utf8')))
}

/** Events from 0 on, each of them once. */
function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, n) => n)
}

const sorted = (numbers: readonly number[]) => numbers.toSorted((a, b) => a - b)

function warnings(daemon: Daemon): string[] {
  return daemon.logs().flatMap(({ level, msg }) => (level === 'warn' || level === 'error' ? [String(msg)] : []))
}

async function acknowledged(sender: Sender, more: number): Promise<void> {
  const goal = sender.acknowledged + more
  await vi.waitFor(() => expect(sender.acknowledged).toBeGreaterThanOrEqual(goal), soon)
}

/** Until nothing has been acknowledged for a while. */
async function stuck(sender: Sender): Promise<void> {
  for (let seen = -1; seen !== sender.acknowledged; ) {
    seen = sender.acknowledged
    await delay(700)
  }
}

/** Until a line matches that is not among the first `seen`. */
async function loggedAfter(daemon: Daemon, seen: number, message: RegExp): Promise<void> {
  const lines = () => daemon.logs().slice(seen)
  await vi.waitFor(
    () => expect(lines().map((line) => JSON.stringify(line))).toContainEqual(expect.stringMatching(message)),
    soon,
  )
}

function timesLogged(daemon: Daemon, message: RegExp): number {
  return daemon.logs().filter(({ msg }) => message.test(String(msg))).length
}

async function end(daemon: Daemon): Promise<void> {
  daemon.signal('SIGTERM')
  expect(await daemon.exit(), daemon.stderr).toBe(0)
}

/** A folder on a file system of its own; the test is skipped by name where this process may not mount. */
const disk = mountSmallDisk(16)
disk?.remove()
const whereMountable = describe.skipIf(disk === undefined)

function smallDisk(kilobytes: number): string {
  const made = mountSmallDisk(kilobytes)
  if (made === undefined) throw new Error('it could be mounted a moment ago')
  onTestFinished(() => made.remove())
  return made.folder
}

whereMountable('a disk that is full', () => {
  test.each([
    ['the outputs', true, false],
    ['the state', false, true],
    ['both', true, true],
  ])('holding %s lets the sender wait; when there is room again, everything is there once', async (_, out, state) => {
    const folder = await scratchFolder()
    const small = smallDisk(4096)
    const port = await freePort()
    const outFolder = out ? small : folder
    const text = yaml(port, archive(outFolder), { state: `${state ? small : folder}/state` })
    const daemon = await Daemon.start(text, folder)
    const { sender, done } = sending(port)
    await acknowledged(sender, 2)
    const ballast = join(small, 'ballast')
    fill(ballast)
    await daemon.logged(/no space left|the disk is full/i)
    await stuck(sender)
    rmSync(ballast)
    await acknowledged(sender, window + 1)
    sender.stop()
    await done
    await end(daemon)
    // As often as it was tried again meanwhile, it is said once, by the output, by the state, and so is that it is over.
    const said = {
      out: timesLogged(daemon, /^cannot write (?!the state file).*no space left/i),
      state: timesLogged(daemon, /^cannot write the state file .*the disk is full/),
    }
    expect(Math.max(said.out, said.state)).toBe(1)
    if (!out || !state) expect(said).toEqual({ out: Number(out), state: Number(state) })
    expect(timesLogged(daemon, /the output takes events again/)).toBe(said.out)
    expect(timesLogged(daemon, /main\.sqlite can be written again/)).toBe(said.state)
    expect(warnings(daemon)).toHaveLength(said.out + said.state)
    expect(archived(outFolder)).toEqual(upTo(sender.acknowledged * perFrame))
  })

  test('and then a kill, and room: everything is there once', async () => {
    const folder = await scratchFolder()
    const small = smallDisk(4096)
    const port = await freePort()
    const text = yaml(port, archive(small), { state: `${small}/state` })
    const first = await Daemon.start(text, folder)
    const { sender, done } = sending(port)
    await acknowledged(sender, 2)
    const ballast = join(small, 'ballast')
    fill(ballast)
    await first.logged(/no space left|the disk is full/i)
    await stuck(sender)
    first.signal('SIGKILL')
    await first.exit()
    rmSync(ballast)
    const second = await Daemon.start(text, folder)
    await acknowledged(sender, 3)
    sender.stop()
    await done
    await end(second)
    expect(archived(small)).toEqual(upTo(sender.acknowledged * perFrame))
  })

  test('a state folder that becomes read-only, and writable again, loses and doubles nothing', async () => {
    const folder = await scratchFolder()
    const small = smallDisk(8192)
    const port = await freePort()
    const text = yaml(port, archive(), { state: `${small}/state` })
    const first = await Daemon.start(text, folder)
    const { sender, done } = sending(port)
    await acknowledged(sender, 2)
    // A file system with files open for writing cannot be remounted; this is how it looks after a restart.
    first.signal('SIGKILL')
    await first.exit()
    execFileSync('mount', ['-o', 'remount,ro', small])
    const refused = await Daemon.start(text, folder)
    expect(await refused.exit()).toBe(1)
    expect(refused.stderr).toMatch(/STATE_UNAVAILABLE/)
    expect(refused.stderr).toMatch(/main\.sqlite/)
    execFileSync('mount', ['-o', 'remount,rw', small])
    const second = await Daemon.start(text, folder)
    await acknowledged(sender, 3)
    sender.stop()
    await done
    await end(second)
    expect(archived(folder)).toEqual(upTo(sender.acknowledged * perFrame))
  })
})

const shim = join(tmpdir(), `feedoo-eio-${process.pid}.so`)
const canFail = spawnSync('gcc', [
  '-shared',
  '-fPIC',
  '-o',
  shim,
  fileURLToPath(new URL('eio.c', import.meta.url)),
  '-ldl',
])
afterAll(() => rmSync(shim, { force: true }))

describe.skipIf(canFail.status !== 0)('a disk that cannot be written (EIO)', () => {
  test.each([
    ['the outputs', '/out/', /cannot (write|sync) .*EIO/i],
    ['the state', 'main.sqlite-wal', /cannot write the state file .*(I\/O error|EIO)/i],
  ])('and holds %s: when it is back, everything acknowledged is there once', async (_, path, message) => {
    const folder = await scratchFolder()
    const port = await freePort()
    const flag = join(folder, 'broken')
    const env = { LD_PRELOAD: shim, EIO_PATH: path, EIO_WHILE: flag }
    const daemon = await Daemon.start(yaml(port, archive()), folder, { env })
    const { sender, done } = sending(port)
    for (let round = 0; round < 2; round++) {
      // Whatever failed the last time works again by then.
      await acknowledged(sender, window + 1)
      const seen = daemon.logs().length
      writeFileSync(flag, '')
      await loggedAfter(daemon, seen, message)
      rmSync(flag)
    }
    await acknowledged(sender, window + 1)
    sender.stop()
    await done
    await end(daemon)
    expect(archived(folder)).toEqual(upTo(sender.acknowledged * perFrame))
  })

  test('and refuses to flush an output has its pipeline started again from the last commit', async () => {
    const folder = await scratchFolder()
    const port = await freePort()
    const flag = join(folder, 'broken')
    const env = { LD_PRELOAD: shim, EIO_PATH: '/out/', EIO_WHILE: flag, EIO_SYNC: '1' }
    const daemon = await Daemon.start(yaml(port, archive()), folder, { env })
    const { sender, done } = sending(port)
    await acknowledged(sender, 2)
    writeFileSync(flag, '')
    // Another flush would succeed, with nothing on the disk.
    expect(JSON.stringify(await daemon.logged(/the pipeline failed/))).toMatch(/cannot sync .*EIO/)
    rmSync(flag)
    await acknowledged(sender, 3)
    sender.stop()
    await done
    await end(daemon)
    expect(archived(folder)).toEqual(upTo(sender.acknowledged * perFrame))
  })
})

describe.skipIf(canFail.status !== 0)('a disk that tells once that it could not write a SQLite output (EIO)', () => {
  const output =
    '    - {name: output_sqlite, filename: "{dir}/out.sqlite", table: t, retry_delay: 0.05, retry_max_delay: 0.2}\n'
  const env = { LD_PRELOAD: shim, EIO_PATH: 'out.sqlite-wal', EIO_ONCE: '1' }
  const send = (port: number, first: number, frames: number) =>
    sending(port, { first, frames, events: (n) => [{ timestamp: 1_600_000_000, record: { n } }] }).done
  const rowsIn = (path: string) => {
    const database = sqlite(path)
    try {
      return database.prepare('SELECT n FROM t ORDER BY rowid').pluck().all()
    } finally {
      database.close()
    }
  }

  test('when it flushes it: what may be lost is written anew, into the file', async () => {
    const folder = await scratchFolder()
    const port = await freePort()
    const flag = join(folder, 'broken')
    const daemon = await Daemon.start(yaml(port, output), folder, { env: { ...env, EIO_WHILE: flag, EIO_SYNC: '1' } })
    await send(port, 0, 3)
    writeFileSync(flag, '')
    await send(port, 3, 4)
    expect(existsSync(flag)).toBe(false)
    expect(warnings(daemon).join()).toMatch(/out\.sqlite: .*EIO/)
    // What the journal holds may be on no disk.
    copyFileSync(join(folder, 'out.sqlite'), join(folder, 'copy.sqlite'))
    expect(rowsIn(join(folder, 'copy.sqlite'))).toEqual(upTo(4))
    await send(port, 4, 6)
    daemon.signal('SIGKILL')
    await daemon.exit()
    const second = await Daemon.start(yaml(port, output), folder)
    await second.logged(/ runs /)
    await end(second)
    expect(rowsIn(join(folder, 'out.sqlite'))).toEqual(upTo(6))
  })

  test('with the first row: all of them are written later', async () => {
    const folder = await scratchFolder()
    const port = await freePort()
    const flag = join(folder, 'broken')
    writeFileSync(flag, '')
    const more = 'dead_letters: "{dir}/dead.jsonl"\n'
    const daemon = await Daemon.start(yaml(port, output, { more }), folder, { env: { ...env, EIO_WHILE: flag } })
    await send(port, 0, 10)
    expect(existsSync(flag)).toBe(false)
    await end(daemon)
    expect(existsSync(join(folder, 'dead.jsonl'))).toBe(false)
    expect(rowsIn(join(folder, 'out.sqlite'))).toEqual(upTo(10))
  })
})

test('rows that a start cannot delete, because the file is locked, are deleted by the one after its clean end', async () => {
  const folder = await scratchFolder()
  const [port, other] = [await freePort(), await freePort()]
  const output =
    '    - {name: output_sqlite, filename: "{dir}/out.sqlite", table: t, retry_delay: 0.05, retry_max_delay: 0.2}\n'
  const first = await Daemon.start(yaml(port, output), folder, { env: { FEEDOO_CRASH: 'before_commit:3' } })
  const { sender, done } = sending(port, { frames: 5, window: 1 })
  expect(await first.exit(), first.stderr).toBe('SIGKILL')
  const database = sqlite(join(folder, 'out.sqlite'))
  onTestFinished(() => void database.close())
  const rows = () => database.prepare('SELECT n FROM t ORDER BY rowid').pluck().all()
  expect(rows().length).toBeGreaterThan(sender.acknowledged * perFrame)
  database.exec('BEGIN IMMEDIATE')
  // Nobody sends to this one.
  const second = await Daemon.start(yaml(other, output), folder)
  await second.logged(/cannot be deleted yet/)
  await second.logged(/ runs /)
  await end(second)
  database.exec('COMMIT')
  const third = await Daemon.start(yaml(port, output), folder)
  await done
  expect(database.prepare('SELECT count(*) FROM _feedoo_commits').pluck().get()).not.toBe(0)
  await end(third)
  expect(rows()).toEqual(upTo(5 * perFrame))
  // After a clean end nothing stays noted in a file that is not ours.
  expect(database.prepare('SELECT count(*) FROM _feedoo_commits').pluck().get()).toBe(0)
})

test.skipIf(canFail.status !== 0).each(['intend', 'save'])(
  'what is marked at once, and could not be flushed, is written into the state file by the next %s',
  async (then) => {
    const folder = await scratchFolder()
    const [path, copy, flag] = [join(folder, 'state'), join(folder, 'copy'), join(folder, 'broken')]
    const script = fileURLToPath(new URL('intending.ts', import.meta.url))
    const env = {
      ...process.env,
      LD_PRELOAD: shim,
      EIO_PATH: 'state-wal',
      EIO_WHILE: flag,
      EIO_SYNC: '1',
      EIO_ONCE: '1',
    }
    const child = spawn(process.execPath, ['--import', 'tsx', script, path, flag, then], {
      env,
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    onTestFinished(() => void child.kill('SIGKILL'))
    await once(child.stdout, 'data')
    // What the journal holds may be on no disk.
    copyFileSync(path, copy)
    const database = sqlite(copy)
    expect(database.prepare('SELECT key, json FROM marks').raw().all()).toEqual([['a.log', '1']])
    database.close()
  },
)

/** Takes all the room there is. */
function fill(path: string): void {
  for (let size = 256 * 1024; size >= 1; size = Math.floor(size / 4)) {
    try {
      for (;;) writeFileSync(path, Buffer.alloc(size), { flag: 'a' })
    } catch {
      // Then with less.
    }
  }
}

test('a daemon that stands still for longer than its sender waits takes nothing twice', async () => {
  const folder = await scratchFolder()
  const port = await freePort()
  const daemon = await Daemon.start(yaml(port, archive()), folder)
  const { sender, done } = sending(port, { patience: 150 })
  await acknowledged(sender, 2)
  for (let round = 0; round < 3; round++) {
    const { lost } = sender
    daemon.signal('SIGSTOP')
    // The frames stand in the sockets of several connections by then.
    await vi.waitFor(() => expect(sender.lost).toBeGreaterThanOrEqual(lost + 3), soon)
    daemon.signal('SIGCONT')
    await acknowledged(sender, 2)
  }
  sender.stop()
  await done
  await end(daemon)
  expect(archived(folder)).toEqual(upTo(sender.acknowledged * perFrame))
})

test('with fewer file descriptors than files to write, events wait or are written, and none is lost or doubled', async () => {
  const folder = await scratchFolder()
  const port = await freePort()
  const output = `    - {name: output_archive, path_template: "{dir}/out/{n}.jsonl", max_open_files: 10000, retry_delay: 0.05, retry_max_delay: 0.2}\n`
  const through = ['prlimit', '--nofile=64']
  const first = await Daemon.start(yaml(port, output), folder, { through })
  const { sender, done } = sending(port)
  await first.logged(/too many open files/i)
  await stuck(sender)
  expect(warnings(first).filter((line) => /too many open files/i.test(line))).toHaveLength(1)
  first.signal('SIGKILL')
  await first.exit()
  const second = await Daemon.start(yaml(port, output), folder)
  await acknowledged(sender, 5)
  sender.stop()
  await done
  await end(second)
  expect(sorted(archived(folder))).toEqual(upTo(sender.acknowledged * perFrame))
})

describe('a target that is away', () => {
  test('holds nobody up: inputs are acknowledged, a restart keeps what waits, and all of it arrives once, in order', async () => {
    const folder = await scratchFolder()
    const [port, target] = [await freePort(), await freePort()]
    const text = yaml(port, away(target))
    const first = await Daemon.start(text, folder)
    const { sender, done } = sending(port, { frames })
    await done
    first.signal('SIGTERM')
    expect(await first.exit(), first.stderr).toBe(0)
    expect(first.logs().find(({ msg }) => /wait in the state/.test(String(msg)))).toMatchObject({
      events: frames * perFrame,
    })
    const second = await Daemon.start(text, folder)
    await second.logged(/earlier run/)
    second.signal('SIGKILL')
    await second.exit()
    const third = await Daemon.start(text, folder)
    await third.logged(/earlier run/)
    const receiver = await ForwardReceiver.start({ listen: target })
    await receiver.until(() => receiver.taken.length >= sender.acknowledged * perFrame)
    expect(receiver.taken.map(({ record }) => record.n)).toEqual(upTo(frames * perFrame))
    await end(third)
    expect(third.stderr).not.toMatch(/wait in the state/)
  })

  test('that takes events and never says so does not make the end late or wrong', async () => {
    const folder = await scratchFolder()
    const port = await freePort()
    const receiver = await ForwardReceiver.start({ take: () => {} })
    const text = yaml(port, away(receiver.port), { more: 'shutdown_timeout: 1\n' })
    const daemon = await Daemon.start(text, folder)
    await sending(port, { frames: 3 }).done
    daemon.signal('SIGTERM')
    expect(await daemon.exit(), daemon.stderr).toBe(0)
    expect(daemon.logs().find(({ msg }) => /wait in the state/.test(String(msg)))).toMatchObject({
      events: 3 * perFrame,
    })
  })

  test('for longer than retry_limit has its events in the dead letters, which a kill does not take', async () => {
    const folder = await scratchFolder()
    const [port, target] = [await freePort(), await freePort()]
    const more = 'dead_letters: "{dir}/dead.jsonl"\n'
    const daemon = await Daemon.start(yaml(port, away(target, ', retry_limit: 1'), { more }), folder)
    const { sender, done } = sending(port, { frames: 20 })
    await done
    daemon.signal('SIGKILL')
    await daemon.exit()
    const second = await Daemon.start(yaml(port, away(target, ', retry_limit: 1'), { more }), folder)
    const letters = () => {
      const path = join(folder, 'dead.jsonl')
      const lines = existsSync(path) ? readFileSync(path, 'utf8').split('\n').slice(0, -1) : []
      return lines.map((line) => JSON.parse(line) as { code: string; record: { n: number } })
    }
    const expected = upTo(sender.acknowledged * perFrame)
    await vi.waitFor(() => expect(new Set(letters().map(({ record }) => record.n)).size).toBe(expected.length), soon)
    await end(second)
    expect(new Set(letters().map(({ code }) => code))).toEqual(new Set(['OUTPUT_UNAVAILABLE']))
  })

  test('lets inputs wait at buffer_limit, with all that was acknowledged in the state', async () => {
    const folder = await scratchFolder()
    const [port, target] = [await freePort(), await freePort()]
    const limit = 50_000
    const daemon = await Daemon.start(yaml(port, away(target, `, buffer_limit: ${limit}`)), folder)
    const { sender, done } = sending(port)
    await vi.waitFor(() => expect(waiting(folder)).toBeGreaterThanOrEqual(limit), soon)
    await stuck(sender)
    // One commit may be beyond it: what was on its way then.
    expect(waiting(folder)).toBeLessThan(limit + 4 * perFrame * 2 * padding.length)
    const receiver = await ForwardReceiver.start({ listen: target })
    await acknowledged(sender, 5)
    sender.stop()
    await done
    await end(daemon)
    expect(receiver.taken.map(({ record }) => record.n)).toEqual(upTo(sender.acknowledged * perFrame))
  })

  test('at buffer_limit, does not fill the memory with what senders have still to say', async () => {
    const folder = await scratchFolder()
    const [port, target, states] = [await freePort(), await freePort(), await freePort()]
    const queueBytes = 4_000_000
    const text = yaml(port, away(target, ', buffer_limit: 50000'), { more: `states: {port: ${states}}\n` })
    const daemon = await Daemon.start(
      text.replace('input_forward', `input_forward, queue_bytes: ${queueBytes}`),
      folder,
    )
    const frame = upTo(perFrame).map((n) => ({ timestamp: 1, record: { n, padding: 'x'.repeat(10_000) } }))
    const sendingLarge = (tag: string, window: number) => sending(port, { tag, window, events: () => frame }).sender
    const first = sendingLarge('app', 1)
    await stuck(first)
    const before = residentMB(daemon.pid)
    // Of twelve senders, and all at once: 240 MB.
    const others = upTo(12).map((n) => sendingLarge(`app.${n}`, 100))
    const inFlight = async () => {
      const metrics = await (await fetch(`http://127.0.0.1:${states}/metrics`)).text()
      return Number(/^feedoo_events_in_flight\{.*\} (\d+)$/m.exec(metrics)?.[1])
    }
    await vi.waitFor(async () => expect((await inFlight()) * 10_000).toBeGreaterThanOrEqual(queueBytes), soon)
    await Promise.all([first, ...others].map(stuck))
    expect((await inFlight()) * 10_000).toBeLessThan(2 * queueBytes)
    expect(residentMB(daemon.pid) - before).toBeLessThan(60)
  })

  test('costs the oldest events under drop_oldest, and the counter says how many', async () => {
    const folder = await scratchFolder()
    const [port, target, states] = [await freePort(), await freePort(), await freePort()]
    const limit = 50_000
    const more = `states: {port: ${states}}\n`
    const text = yaml(port, away(target, `, buffer_limit: ${limit}, when_full: drop_oldest`), { more })
    const daemon = await Daemon.start(text, folder)
    const { sender, done } = sending(port, { frames })
    await done
    await vi.waitFor(() => expect(waiting(folder)).toBeLessThan(limit * 2), soon)
    const answer = await (await fetch(`http://127.0.0.1:${states}/`)).text()
    const receiver = await ForwardReceiver.start({ listen: target })
    await vi.waitFor(() => expect(waiting(folder)).toBe(0), soon)
    await end(daemon)
    const taken = receiver.taken.map(({ record }) => Number(record.n))
    expect(taken).toEqual(sorted(taken))
    expect(taken.at(-1)).toBe(sender.acknowledged * perFrame - 1)
    const [, dropped = '0'] = /"dropped":\{"app":(\d+)\}/.exec(answer) ?? []
    expect(Number(dropped)).toBeGreaterThan(0)
    expect(taken.length + Number(dropped)).toBe(sender.acknowledged * perFrame)
  })
})

function residentMB(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024
}

/** Bytes in the state that wait for a target. */
function waiting(folder: string): number {
  const database = sqlite(join(folder, 'state/main.sqlite'), { readonly: true })
  try {
    return Number(database.prepare('SELECT total(length(data)) FROM batches').pluck().get())
  } finally {
    database.close()
  }
}

test('from daemon to daemon, both killed at any moment, everything acknowledged is in the last archive once', {
  timeout: 120_000,
}, async () => {
  const [near, far] = [await scratchFolder(), await scratchFolder()]
  const [port, target] = [await freePort(), await freePort()]
  const random = seeded(20)
  const startNear = () => Daemon.start(yaml(port, away(target)), near)
  const startFar = () => Daemon.start(yaml(target, archive()), far)
  let [a, b] = await Promise.all([startNear(), startFar()])
  const { sender, done } = sending(port)
  for (let kill = 0; kill < 20; kill++) {
    await delay(100 + random() * 500)
    if (random() < 0.5) {
      a.signal('SIGKILL')
      await a.exit()
      a = await startNear()
    } else {
      b.signal('SIGKILL')
      await b.exit()
      b = await startFar()
    }
  }
  sender.stop()
  await done
  const expected = sender.acknowledged * perFrame
  expect(expected).toBeGreaterThan(0)
  await vi.waitFor(() => expect(new Set(archived(far)).size).toBe(expected), soon)
  await end(a)
  await end(b)
  expect(archived(far)).toEqual(upTo(expected))
})
