// The second half of `npm run build`: bundles src/ with its dependencies into dist/. docs/architecture.md says why.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

/** What is loaded by its path, by the daemon itself, by plugins or by tests: a file of that path. The rest is chunks. */
const entries = ['main', 'index', 'testing', 'actions/index', 'core/worker', 'core/plugin-hook', 'core/registry']
/** Packages that are loaded from node_modules: those with native code, or that look for files beside their own. */
const external = ['better-sqlite3']

const src = fileURLToPath(new URL('../src', import.meta.url))
const dist = fileURLToPath(new URL('../dist', import.meta.url))
const chunks = join(dist, 'chunks')

const { outputFiles } = await build({
  entryPoints: entries.map((entry) => join(src, `${entry}.ts`)),
  outbase: src,
  outdir: dist,
  chunkNames: 'chunks/[name]-[hash]',
  bundle: true,
  // A module of ours is in one chunk only: FeedooError is the same class for the daemon and for a plugin.
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20.19',
  external,
  // For `node --enable-source-maps`; costs nothing without.
  sourcemap: true,
  sourcesContent: false,
  legalComments: 'eof',
  logLevel: 'warning',
  // Bundled CommonJS asks for Node's own modules with `require`.
  banner: {
    js: "import { createRequire as feedooRequire } from 'node:module'\nconst require = feedooRequire(import.meta.url)",
  },
  write: false,
})

// Somebody may be running what is there: chunks come before what imports them, and what is the same is left alone.
const chunksFirst = outputFiles.toSorted(
  (a, b) => Number(b.path.startsWith(chunks)) - Number(a.path.startsWith(chunks)),
)
for (const { path, contents } of chunksFirst) {
  if (existsSync(path) && readFileSync(path).equals(contents)) continue
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, contents)
}
const current = new Set(outputFiles.map(({ path }) => path))
for (const file of readdirSync(dist, { recursive: true, encoding: 'utf8' })) {
  const path = join(dist, file)
  if (/\.js(\.map)?$/.test(file) && !current.has(path)) rmSync(path)
}
