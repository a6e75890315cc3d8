// A real Fluent Bit, where the environment variable FLUENT_BIT names its binary.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'

export const fluentBit: string | undefined = process.env.FLUENT_BIT

export class FluentBit {
  stderr = ''
  readonly #child: ChildProcess
  readonly #ended: Promise<unknown>

  constructor(file: string, env: NodeJS.ProcessEnv = {}) {
    if (fluentBit === undefined) throw new Error('FLUENT_BIT names no binary')
    this.#child = spawn(fluentBit, ['-c', file], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, ...env },
    })
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text
    })
    this.#ended = once(this.#child, 'close')
    onTestFinished(() => this.stop())
  }

  /** Starts it on a pipeline, given as what its YAML file holds below `pipeline`. */
  static async start(folder: string, pipeline: Record<string, unknown>, service = {}): Promise<FluentBit> {
    const file = join(folder, 'fluent-bit.yaml')
    // JSON is YAML.
    const config = { service: { flush: 0.2, grace: 3, log_level: 'info', ...service }, pipeline }
    await writeFile(file, JSON.stringify(config))
    return new FluentBit(file)
  }

  /** Comes back when its log matches. */
  async logged(text: RegExp): Promise<void> {
    while (!text.test(this.stderr)) {
      const ended = await Promise.race([
        once(this.#child.stderr as NodeJS.ReadableStream, 'data').then(() => false),
        this.#ended.then(() => true),
      ])
      if (ended && !text.test(this.stderr)) throw new Error(`Fluent Bit ended; it said:\n${this.stderr}`)
    }
  }

  async stop(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.#ended
  }
}
