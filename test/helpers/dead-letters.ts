// A file for dead letters that is gone after the test, and what is in it.
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'

export async function deadLettersOf(): Promise<{
  /** The letters so far, each line read as JSON. */
  letters(): Promise<Record<string, unknown>[]>
  /** For the pipeline. */
  options: { deadLetters: string }
}> {
  const dir = await mkdtemp(join(tmpdir(), 'feedoo-test-'))
  onTestFinished(() => rm(dir, { recursive: true }))
  const deadLetters = join(dir, 'dead.jsonl')
  return {
    async letters() {
      if (!existsSync(deadLetters)) return []
      const lines = (await readFile(deadLetters, 'utf8')).split('\n')
      if (lines.pop() !== '') throw new Error('the file ends in half a line')
      return lines.map((line) => JSON.parse(line) as Record<string, unknown>)
    },
    options: { deadLetters },
  }
}
