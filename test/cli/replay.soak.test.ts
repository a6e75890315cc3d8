// A million lines of sshd through the rules of the example: what it costs, and that it says the same twice.
import { createHash } from 'node:crypto'
import { appendFileSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { Daemon, scratchFolder } from '../helpers/daemon.ts'
import { sshdBlocks } from '../helpers/sshd-lines.ts'

const example = fileURLToPath(new URL('../../etc/feedoo/pipelines/ssh-bruteforce.yaml', import.meta.url))

test('a million lines take less than 10 CPU seconds, and give the same alerts twice', async () => {
  const folder = await scratchFolder()
  for (const block of sshdBlocks(1_000_000)) appendFileSync(join(folder, 'auth.log'), block)
  const digests: string[] = []
  for (const alerts of ['1.jsonl', '2.jsonl']) {
    const args = ['replay', example, '--from', 'auth.log', '--now', '2026-12-01', '--alerts', alerts]
    const daemon = new Daemon(args, { cwd: folder })
    expect(await daemon.exit()).toBe(0)
    const [, cpu] = /\(CPU ([\d.]+) s\)/.exec(daemon.stdout) ?? []
    console.log(`${cpu} CPU seconds`)
    expect(Number(cpu)).toBeLessThan(10)
    digests.push(
      createHash('sha256')
        .update(readFileSync(join(folder, alerts)))
        .digest('hex'),
    )
  }
  expect(digests[1]).toBe(digests[0])
})
