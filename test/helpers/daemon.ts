// Starts the real daemon (the built one) on a configuration in a folder of its own, and watches it.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'

export const mainFile = fileURLToPath(new URL('../../dist/main.js', import.meta.url))

/** A folder that is gone when the test is over. */
export async function scratchFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'feedoo-test-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return folder
}

interface DaemonOptions {
  env?: NodeJS.ProcessEnv
  cwd?: string
  uid?: number
  through?: readonly string[]
}

export class Daemon {
  stdout = ''
  stderr = ''
  readonly child: ChildProcess
  readonly #exit: Promise<number | string | null>

  /** `through` is a command that runs the command behind it, such as `setpriv`. */
  constructor(args: readonly string[], { through = [], env, ...options }: DaemonOptions = {}) {
    const [command = '', ...rest] = [...through, process.execPath, mainFile, ...args]
    this.child = spawn(command, rest, {
      stdio: ['ignore', 'pipe', 'pipe'],
      ...options,
      // Its control socket stays out of the way.
      env: { ...process.env, XDG_RUNTIME_DIR: join(tmpdir(), 'feedoo-test-run'), ...env },
    })
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text
    })
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text
    })
    // 'close' comes when the pipes are read to their end; 'exit' may come before.
    this.#exit = once(this.child, 'close').then(([code, signal]: (number | string | null)[]) => code ?? signal ?? null)
    onTestFinished(() => void this.child.kill('SIGKILL'))
  }

  /** Starts the daemon on a YAML text, in which `{dir}` stands for `folder`. */
  static async start(yaml: string, folder: string, options: DaemonOptions = {}): Promise<Daemon> {
    const file = join(folder, 'feedoo.yaml')
    await writeFile(file, yaml.replaceAll('{dir}', folder))
    return new Daemon(['run', '-c', file], { ...options, cwd: folder })
  }

  get pid(): number {
    return this.child.pid ?? -1
  }

  /** The exit code, or the signal that ended it. */
  exit(): Promise<number | string | null> {
    return this.#exit
  }

  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal)
  }

  /** The log lines so far, parsed. */
  logs(): Record<string, unknown>[] {
    return this.stderr
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as Record<string, unknown>)
  }

  /** Comes back with the first log line whose message matches. */
  async logged(message: RegExp): Promise<Record<string, unknown>> {
    for (;;) {
      const found = this.logs().find(({ msg }) => typeof msg === 'string' && message.test(msg))
      if (found !== undefined) return found
      await this.#more('stderr')
    }
  }

  /** Comes back when the standard output matches. */
  async printed(text: RegExp): Promise<void> {
    while (!text.test(this.stdout)) await this.#more('stdout')
  }

  async #more(stream: 'stdout' | 'stderr'): Promise<void> {
    const ended = await Promise.race([
      once(this.child[stream] as NodeJS.ReadableStream, 'data').then(() => false),
      this.#exit.then(() => true),
    ])
    if (ended) throw new Error(`the daemon ended; it said:\n${this.stderr}`)
  }
}

/** All lines of all files of a folder, files in the order of their names. */
export async function linesIn(folder: string): Promise<string[]> {
  const files = (await readdir(folder)).sort()
  const texts = await Promise.all(files.map((file) => readFile(join(folder, file), 'utf8')))
  return texts.flatMap((text) => text.split('\n').slice(0, -1))
}
