// Checks who imports whom: the rules of docs/architecture.md, over all of src/. Prints each violation as file:line.
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, posix, resolve, sep } from 'node:path'
import { fileURLToPath } from 'node:url'

/** For each part of src/, the parts it may import besides itself. A file directly in src/ is a part of its own. */
const mayImport: Readonly<Record<string, readonly string[] | 'everything'>> = {
  'main.ts': ['cli', 'core'],
  'index.ts': ['core'],
  'testing.ts': ['core'],
  cli: 'everything',
  actions: ['core', 'protocol'],
  core: ['protocol'],
  http: ['core'],
  protocol: [],
}
/** The only place that names the actions. */
const actionList = 'actions/index.ts'

export interface Violation {
  /** Path below `src`. */
  file: string
  line: number
  message: string
}

/** Every import that is not allowed in the tree below `src`, in the order of the files. */
export function checkImports(src: string): Violation[] {
  return sourcesBelow(src).flatMap((file) =>
    importsOf(readFileSync(join(src, file), 'utf8')).flatMap(({ specifier, line }) => {
      const message = refuse(file, specifier)
      return message === undefined ? [] : [{ file, line, message }]
    }),
  )
}

/** Why `file` may not import `specifier`, or undefined when it may. */
function refuse(file: string, specifier: string): string | undefined {
  // Packages are for package.json to allow.
  if (!specifier.startsWith('.')) return undefined
  const target = posix.normalize(posix.join(posix.dirname(file), specifier))
  if (target.startsWith('..')) return `${specifier} is outside src`
  const [from, to] = [partOf(file), partOf(target)]
  if (from === 'actions' && to === 'actions') {
    return file === actionList ? undefined : `an action imports another action: ${target}`
  }
  const allowed = mayImport[from]
  if (allowed === undefined) return `src/${from} has no rule in scripts/check-imports.ts`
  if (from === to || allowed === 'everything' || allowed.includes(to)) return undefined
  return `${from} may not import ${to}: ${target}`
}

function partOf(file: string): string {
  return file.split('/')[0] ?? file
}

/** The specifiers of `import ... from`, `export ... from`, `import '...'` and `import('...')`, each with its line. */
function importsOf(source: string): { specifier: string; line: number }[] {
  const pattern =
    /^[ \t]*(?:import|export)\b[^'"`;]*?\bfrom\s*(['"])(.+?)\1|^[ \t]*import\s*(['"])(.+?)\3|\bimport\s*\(\s*(['"`])(.+?)\5/gm
  return [...source.matchAll(pattern)].map((match) => ({
    specifier: match[2] ?? match[4] ?? match[6] ?? '',
    // The line on which the statement ends, where its specifier stands.
    line: source.slice(0, match.index + match[0].length).split('\n').length,
  }))
}

function sourcesBelow(src: string): string[] {
  return readdirSync(src, { recursive: true, encoding: 'utf8' })
    .map((file) => file.split(sep).join('/'))
    .filter((file) => file.endsWith('.ts'))
    .sort()
}

if (process.argv[1] !== undefined && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const src = join(dirname(fileURLToPath(import.meta.url)), '..', 'src')
  const violations = checkImports(src)
  for (const { file, line, message } of violations) console.error(`src/${file}:${line}: ${message}`)
  process.exitCode = violations.length === 0 ? 0 : 1
}
