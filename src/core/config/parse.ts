// Reads YAML 1.2 into a tree of values with their places, and reports what is not YAML.
import { type Alias, isAlias, isMap, isPair, isScalar, isSeq, Lexer, parseDocument } from 'yaml'
import type { ScalarValue } from './core-schema.ts'
import { didYouMean } from './nearest.ts'
import type { Reporter } from './reporter.ts'
import { offsetInScalar, type ScalarStyle } from './scalar-places.ts'
import { type Place, position, type Source } from './source.ts'
import { reportSyntax } from './syntax.ts'
import type { Entry, ListTree, MapTree, ScalarTree, Tree } from './tree.ts'

/** Values that aliases may add to a document: more is an attack, or a slip that would act as one. */
const maxAliasedValues = 20_000
/** How deep lists and maps may stand in each other. */
const maxDepth = 100
/** Columns of indentation of a line, dashes included. */
const maxIndent = 400

/** The document's tree; undefined after a syntax error, which is reported. An empty file is a null scalar. */
export function parseYaml(source: Source, reporter: Reporter): Tree | undefined {
  const deep = tooDeep(source.text)
  if (deep !== undefined) {
    reporter.error(at(source, deep, deep + 1), `lists and maps stand in each other more than ${maxDepth} deep`)
    return undefined
  }
  const document = parseDocument(source.text, {
    uniqueKeys: false,
    prettyErrors: false,
    resolveKnownTags: false,
    logLevel: 'error',
  })
  const problems = [...document.errors, ...document.warnings]
  if (problems.length > 0) {
    reportSyntax(document, source, reporter)
    return undefined
  }
  const builder = new Builder(source, reporter)
  const tree = builder.build(document.contents)
  return builder.bomb ? undefined : tree
}

/** Where the document becomes too deep to be read without exhausting the stack, or undefined. */
function tooDeep(text: string): number | undefined {
  let offset = 0
  let depth = 0
  let lineStart = 0
  let onlyIndent = true
  for (const lexeme of new Lexer().lex(text)) {
    // Lexemes of one control character mark what follows and have no text of their own.
    if (lexeme === '\u0002' || lexeme === '\u0018' || lexeme === '\u001f') continue
    if (lexeme === '[' || lexeme === '{') depth++
    if (lexeme === ']' || lexeme === '}') depth--
    if (!/^[ \t?:-]*$/.test(lexeme)) onlyIndent = false
    offset += lexeme.length
    if (depth > maxDepth || (onlyIndent && offset - lineStart > maxIndent)) return offset - 1
    if (lexeme.endsWith('\n')) {
      lineStart = offset
      onlyIndent = true
    }
  }
  return undefined
}

function at(source: Source, start: number, end: number): Place {
  return { source, start, end }
}

/** An anchor's tree, with how many values it stands for; 'open' while the node itself is being read. */
type Anchor = { tree: Tree; size: number } | 'open'

class Builder {
  /** True when aliases blow the tree up: it is not to be walked. */
  bomb = false
  readonly #source: Source
  readonly #reporter: Reporter
  readonly #anchors = new Map<string, Anchor>()
  #aliased = 0
  /** Values read so far, those behind aliases counted each time. */
  #size = 0

  constructor(source: Source, reporter: Reporter) {
    this.#source = source
    this.#reporter = reporter
  }

  build(node: unknown, fallback: Place = at(this.#source, 0, 0)): Tree {
    this.#size++
    if (isAlias(node)) return this.#alias(node)
    const place = this.#place(node, fallback)
    const anchor = isScalar(node) || isMap(node) || isSeq(node) ? node.anchor : undefined
    const before = this.#size
    if (anchor !== undefined) this.#anchors.set(anchor, 'open')
    const tree = this.#node(node, place)
    if (anchor !== undefined) this.#anchors.set(anchor, { tree, size: this.#size - before + 1 })
    return tree
  }

  #node(node: unknown, place: Place): Tree {
    if (isMap(node)) return this.#map(node.items, place)
    if (isSeq(node)) {
      const list: ListTree = { kind: 'list', at: place, items: node.items.map((item) => this.build(item, place)) }
      return list
    }
    if (!isScalar(node)) return scalar(place, null, '', 'plain')
    const value = isScalarValue(node.value) ? node.value : String(node.value)
    const style = styleOf(node.type)
    const text = typeof value === 'string' ? value : (node.source ?? String(value))
    return scalar(place, value, text, style)
  }

  #map(pairs: readonly unknown[], place: Place): MapTree {
    const entries = new Map<string, Entry>()
    const merged: Tree[] = []
    let incomplete = false
    for (const pair of pairs) {
      if (!isPair(pair)) continue
      const keyPlace = this.#place(pair.key, place)
      if (!isScalar(pair.key)) {
        this.#reporter.error(keyPlace, 'a key has to be text')
        incomplete = true
        continue
      }
      const value = this.build(pair.value, at(keyPlace.source, keyPlace.start, keyPlace.end))
      if (pair.key.value === '<<' && pair.key.type === 'PLAIN') {
        merged.push(...(value.kind === 'list' ? value.items : [value]))
        continue
      }
      const key = String(pair.key.value)
      const first = entries.get(key)
      if (first === undefined) entries.set(key, { key: keyPlace, value })
      else {
        const { line } = position(first.key)
        this.#reporter.error(
          keyPlace,
          `duplicate key "${key}"`,
          `the first one stands on line ${line}; keep one of them`,
        )
      }
    }
    for (const source of merged) this.#merge(entries, source)
    return { kind: 'map', at: place, entries, incomplete: incomplete || merged.some(isBroken) }
  }

  /** The map's own keys win over merged ones, and earlier merged maps over later ones. */
  #merge(entries: Map<string, Entry>, source: Tree): void {
    if (source.kind !== 'map') {
      if (!isBroken(source)) this.#reporter.error(source.at, '`<<` merges maps, and this is none')
      return
    }
    for (const [key, entry] of source.entries) {
      if (!entries.has(key)) entries.set(key, entry)
    }
  }

  #alias(node: Alias): Tree {
    const place = this.#place(node, at(this.#source, 0, 0))
    const anchor = this.#anchors.get(node.source)
    if (anchor === undefined || anchor === 'open') {
      if (anchor === 'open') this.#reporter.error(place, `the alias *${node.source} stands inside the value it names`)
      else {
        const message = `the alias *${node.source} has no anchor &${node.source} before it`
        const near = didYouMean(node.source, this.#anchors.keys())
        this.#reporter.error(place, message, near ?? `text that begins with * needs quotes: "*${node.source}"`)
      }
      return brokenScalar(place)
    }
    this.#aliased += anchor.size
    this.#size += anchor.size
    if (this.#aliased > maxAliasedValues) {
      const message = `aliases blow this file up to more than ${maxAliasedValues} values`
      if (!this.bomb) this.#reporter.error(place, message, 'write fewer aliases of aliases')
      this.bomb = true
      return brokenScalar(place)
    }
    return { ...anchor.tree, at: place }
  }

  #place(node: unknown, fallback: Place): Place {
    const located = isAlias(node) || isScalar(node) || isMap(node) || isSeq(node)
    if (!located || !node.range) return fallback
    const [start, end] = node.range
    // A value that is left out has no text of its own.
    return start === end ? fallback : at(this.#source, start, end)
  }
}

function scalar(place: Place, value: ScalarValue, text: string, style: ScalarStyle): ScalarTree {
  return {
    kind: 'scalar',
    at: place,
    value,
    text,
    plain: style === 'plain',
    interpolated: false,
    secret: false,
    broken: false,
    placeOf(index) {
      const { source, start, end } = place
      const from = Math.min(start + offsetInScalar(source.text.slice(start, end), style, text, index), end)
      return { source, start: from, end: Math.max(from + 1, end - (style === 'single' || style === 'double' ? 1 : 0)) }
    },
  }
}

function brokenScalar(place: Place): ScalarTree {
  return { ...scalar(place, null, '', 'plain'), broken: true }
}

function isBroken(tree: Tree): boolean {
  return tree.kind === 'scalar' && tree.broken
}

function styleOf(type: string | undefined): ScalarStyle {
  if (type === 'QUOTE_SINGLE') return 'single'
  if (type === 'QUOTE_DOUBLE') return 'double'
  return type === 'BLOCK_LITERAL' || type === 'BLOCK_FOLDED' ? 'block' : 'plain'
}

function isScalarValue(value: unknown): value is ScalarValue {
  return value === null || typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
}
