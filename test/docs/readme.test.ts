// What the README and the guides show is what a reader gets.
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { Daemon, linesIn, scratchFolder } from '../helpers/daemon.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))

const log = `2026-01-02 10:00:00 startup archives unpack
2026-01-02 10:00:01 install jq:amd64 <none> 1.6-2.1
2026-01-02 10:00:01 status half-installed jq:amd64 1.6-2.1
2026-01-03 08:15:00 upgrade jq:amd64 1.6-2.1 1.7-1
`

async function blocks(page: string, language: string): Promise<string[]> {
  const text = await readFile(join(root, page), 'utf8')
  return [...text.matchAll(new RegExp(`\`\`\`${language}\n([\\s\\S]*?)\`\`\``, 'g'))].map(([, block]) => block ?? '')
}

/** Runs one step of the tour in a folder of its own, on a log of known lines. */
async function runTour(yaml: string, args: string[] = []): Promise<{ daemon: Daemon; folder: string; code: unknown }> {
  const folder = await scratchFolder()
  await writeFile(join(folder, 'dpkg.log'), log)
  await writeFile(join(folder, 'tour.yaml'), yaml.replaceAll('/var/log/dpkg.log', join(folder, 'dpkg.log')))
  const daemon = new Daemon([...args, '-c', 'tour.yaml'], { cwd: folder })
  return { daemon, folder, code: await daemon.exit() }
}

test('the tour of the README reads, parses, and archives as it says', async () => {
  const [read = '', parse = '', route = ''] = await blocks('README.md', 'yaml tour.yaml')

  const first = await runTour(read)
  expect(first.code).toBe(0)
  expect(first.daemon.stdout.split('\n')[1]).toMatch(
    /^dpkg\[[\d.]+\]: \{"log":"2026-01-02 10:00:01 install jq:amd64 <none> 1.6-2.1"\}$/,
  )

  const second = await runTour(parse)
  // 10:00:01 in Paris in winter is 09:00:01 UTC.
  const time = Date.parse('2026-01-02T09:00:01Z') / 1000
  expect(second.daemon.stdout.split('\n')[1]).toBe(
    `dpkg[${time}]: {"time":${time},"action":"install","package":"jq:amd64","version":"<none> 1.6-2.1"}`,
  )

  const third = await runTour(route)
  expect(
    third.daemon.stdout
      .trim()
      .split('\n')
      .map((line) => line.split('[')[0]),
  ).toEqual(['dpkg.install', 'dpkg.upgrade'])
  expect((await readdir(join(third.folder, 'archive'))).sort()).toEqual([
    'dpkg-2026-01-02.jsonl',
    'dpkg-2026-01-03.jsonl',
  ])
  expect(await linesIn(join(third.folder, 'archive'))).toHaveLength(4)
})

test('the slip of the tour is reported as the README shows it', async () => {
  const [, parse = ''] = await blocks('README.md', 'yaml tour.yaml')
  const { daemon, code } = await runTour(parse.replace('match: dpkg', 'mtach: dpkg'), ['check'])
  expect(code).toBe(2)
  const shown = (await blocks('README.md', 'text')).find((block) => block.includes('mtach'))
  expect(daemon.stderr).toBe(shown)
})

test('the configuration of the guide is right', async () => {
  const folder = await scratchFolder()
  const [first = ''] = await blocks('docs/guide/configuration.md', 'yaml')
  await writeFile(join(folder, 'auth.log'), '')
  await writeFile(join(folder, 'guide.yaml'), first.replaceAll('/var/log/auth.log', join(folder, 'auth.log')))
  const daemon = new Daemon(['check', '-c', 'guide.yaml'], { cwd: folder })
  expect(await daemon.exit()).toBe(0)
  expect(daemon.stdout).toBe('guide.yaml: ok, 1 pipeline, 3 actions\n')
})

test('every link of the README and the guides leads to a file', async () => {
  const names = await readdir(join(root, 'docs/guide'), { recursive: true })
  const guides = names.filter((name) => name.endsWith('.md')).map((name) => `docs/guide/${name}`)
  for (const page of ['README.md', 'docs/architecture.md', ...guides]) {
    const text = await readFile(join(root, page), 'utf8')
    for (const [, link = ''] of text.matchAll(/\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)/g)) {
      const target = new URL(link, `file://${root}${page}`)
      await expect(
        readdir(target).catch(() => readFile(target)),
        `${page}: ${link}`,
      ).resolves.toBeDefined()
    }
  }
})
