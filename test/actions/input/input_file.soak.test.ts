// The built daemon reads a large file with a small memory: from input_file through parser_json into an archive.
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createReadStream, createWriteStream, readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { scratch } from '../../core/files/tailing.ts'

const program = fileURLToPath(new URL('../../../dist/main.js', import.meta.url))
/** Writes what a process has used when it ends. */
const usage = new URL('../../../bench/usage.mjs', import.meta.url).href
/** MB of resident memory at its highest. */
const memoryLimit = 200
/** Lines written at a time. */
const block = 10_000

/** Writes `count` JSON lines, which an archive holds again byte by byte, and returns their hash. */
async function writeLines(path: string, count: number): Promise<string> {
  const hash = createHash('sha256')
  const file = createWriteStream(path)
  for (let from = 0; from < count; from += block) {
    const text = Array.from({ length: Math.min(block, count - from) }, (_, i) => line(from + i)).join('')
    hash.update(text)
    if (!file.write(text)) await once(file, 'drain')
  }
  file.end()
  await once(file, 'close')
  return hash.digest('hex')
}

function line(n: number): string {
  return `{"id":${n},"host":"web${n % 7}","path":"/item/${n % 1000}","ok":true}\n`
}

async function hashOf(path: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const bytes of createReadStream(path) as AsyncIterable<Buffer>) hash.update(bytes)
  return hash.digest('hex')
}

test.each([1_000_000, 10_000_000])('archives %i lines within 200 MB of memory', async (count) => {
  const dir = await scratch()
  const path = (name: string) => join(dir, name)
  const wanted = await writeLines(path('in.log'), count)
  await writeFile(
    path('feedoo.yaml'),
    `pipelines:
  archive:
    - { name: input_file, tag: app, path_pattern: "${path('in.log')}", once: true }
    - { name: parser_json, match: app, key: log }
    - { name: output_archive, match: app, path_template: "${path('out.jsonl')}" }
`,
  )
  const child = spawn(process.execPath, ['--import', usage, program, 'run', '-c', path('feedoo.yaml')], {
    env: { ...process.env, BENCH_USAGE: path('usage.json') },
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const [code] = (await once(child, 'close')) as [number | null]
  expect(code).toBe(0)
  expect(await hashOf(path('out.jsonl'))).toBe(wanted)
  const { peakMB } = JSON.parse(readFileSync(path('usage.json'), 'utf8')) as { peakMB: number }
  console.log(`${count} lines: ${Math.round(peakMB)} MB at the most`)
  expect(peakMB).toBeGreaterThan(10)
  expect(peakMB).toBeLessThan(memoryLimit)
})
