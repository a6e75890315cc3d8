// `npm run docs` writes docs/reference; `--check` fails when what is there is not what would be written.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { actions } from '../src/actions/index.ts'
import { actionKeys, topLevel } from '../src/core/config/top-level.ts'
import { errorCodes } from '../src/core/errors.ts'
import { referencePages } from './docs-pages.ts'

const sources = { actions, topLevel, actionKeys, errorCodes }
const reference = fileURLToPath(new URL('../docs/reference', import.meta.url))

/** The files of docs/reference that are missing, differ from what the specs say, or belong to no spec. */
export function staleFiles(folder = reference): string[] {
  const pages = referencePages(sources)
  const onDisk = new Map(readdirSync(folder).map((name) => [name, readFileSync(join(folder, name), 'utf8')]))
  const names = new Set([...pages.keys(), ...onDisk.keys()])
  return [...names].filter((name) => pages.get(name) !== onDisk.get(name)).sort()
}

/** Makes the folder what the specs say; returns what it changed. */
export function writeDocs(folder = reference): string[] {
  mkdirSync(folder, { recursive: true })
  const pages = referencePages(sources)
  const stale = staleFiles(folder)
  for (const name of stale) {
    const page = pages.get(name)
    if (page === undefined) rmSync(join(folder, name))
    else writeFileSync(join(folder, name), page)
  }
  return stale
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  if (process.argv[2] === '--check') {
    const stale = staleFiles()
    for (const name of stale)
      process.stderr.write(`docs/reference/${name} is not what its spec says; run npm run docs\n`)
    process.exitCode = stale.length === 0 ? 0 : 1
  } else {
    for (const name of writeDocs()) process.stdout.write(`docs/reference/${name}\n`)
  }
}
