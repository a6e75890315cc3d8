// Puts variables (`{name}`) and the environment (`${NAME}`, `${NAME:-default}`) into the values of a configuration.
import { resolvePlain, type ScalarValue } from './core-schema.ts'
import type { Reporter } from './reporter.ts'
import type { Place } from './source.ts'
import type { Entry, MapTree, ScalarTree, Tree } from './tree.ts'

export type Environment = Readonly<Record<string, string | undefined>>

/** Characters of one text after everything is put in. */
const maxTextLength = 1 << 20
/** Values that lists and maps in variables may add to a configuration. */
const maxPutIn = 20_000

/** `$${`, `${...}`, a `${` that is never closed, or `{name}`. */
const slots = /\$\$\{|\$\{([^}\n]*)\}|\$\{|\{([^{}\n]*)\}/g

export class Interpolator {
  readonly #variables: ReadonlyMap<string, Entry>
  readonly #env: Environment
  readonly #reporter: Reporter
  readonly #resolved = new Map<string, Tree>()
  /** Variables that are being resolved, outermost first. */
  readonly #open: string[] = []
  #putIn = 0
  #refused = false

  /** `variables` is the map of that name, as parsed. */
  constructor(variables: MapTree | undefined, env: Environment, reporter: Reporter) {
    this.#variables = variables?.entries ?? new Map()
    this.#env = env
    this.#reporter = reporter
  }

  /** Resolves every variable, used or not, so that their mistakes are reported. */
  resolveVariables(): void {
    for (const name of this.#variables.keys()) this.#variable(name, undefined)
  }

  hasVariable(name: string): boolean {
    return this.#variables.has(name)
  }

  interpolate(tree: Tree): Tree {
    if (tree.kind === 'scalar') return this.#scalar(tree)
    if (tree.kind === 'list') return { ...tree, items: tree.items.map((item) => this.interpolate(item)) }
    const entries = new Map<string, Entry>()
    for (const [key, { key: place, value }] of tree.entries)
      entries.set(key, { key: place, value: this.interpolate(value) })
    return { ...tree, entries }
  }

  #scalar(scalar: ScalarTree): Tree {
    if (typeof scalar.value !== 'string' || !scalar.value.includes('{')) return scalar
    const whole = /^\{([^{}]*)\}$/.exec(scalar.value)?.[1]
    if (whole !== undefined && this.hasVariable(whole)) {
      const value = this.#variable(whole, scalar.at)
      if (!this.#fits(value, scalar.at)) return broken(scalar)
      return value.kind === 'scalar' ? { ...value, at: scalar.at, interpolated: true } : { ...value, at: scalar.at }
    }
    return this.#text(scalar, scalar.value)
  }

  #text(scalar: ScalarTree, template: string): ScalarTree {
    const pieces: Piece[] = []
    let text = ''
    let end = 0
    let failed = false
    let fromEnv = false
    let secret = false
    const keep = (upTo: number) => {
      if (upTo > end) pieces.push({ at: text.length, from: end, literal: true })
      text += template.slice(end, upTo)
    }
    for (const match of template.matchAll(slots)) {
      const put = this.#slot(match, scalar)
      if (put === undefined) continue
      keep(match.index)
      pieces.push({ at: text.length, from: match.index, literal: false })
      end = match.index + match[0].length
      text += put.text
      failed ||= put.failed
      fromEnv ||= put.fromEnv
      secret ||= put.secret
      if (text.length > maxTextLength) {
        this.#reporter.error(scalar.at, 'the variables make this text longer than a million characters')
        return broken(scalar)
      }
    }
    if (pieces.length === 0) return scalar
    keep(template.length)
    if (failed) return broken(scalar)
    const value: ScalarValue = scalar.plain && fromEnv ? resolvePlain(text) : text
    const placeOf = (index: number): Place => {
      const piece = pieces.findLast(({ at }) => at <= index)
      return scalar.placeOf(piece === undefined ? 0 : piece.from + (piece.literal ? index - piece.at : 0))
    }
    return { ...scalar, value, text, interpolated: true, secret: scalar.secret || secret, placeOf }
  }

  /** What to put in for one match, or undefined to leave it as it stands. */
  #slot(match: RegExpExecArray, scalar: ScalarTree): Put | undefined {
    const [whole, fromEnv, name] = match
    if (whole === '$${') return { text: '${', failed: false, fromEnv: false, secret: false }
    const place = scalar.placeOf(match.index)
    const here = { ...place, end: Math.min(place.end, place.start + whole.length) }
    if (name !== undefined) return this.hasVariable(name) ? this.#inText(name, here) : undefined
    return this.#fromEnvironment(fromEnv, here)
  }

  #fromEnvironment(expression: string | undefined, place: Place): Put {
    const parts = /^([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?$/.exec(expression ?? '')
    if (parts === null) {
      const message =
        expression === undefined
          ? 'this ${ is never closed'
          : `"${expression}" cannot name a variable of the environment`
      this.#reporter.error(place, message, `write \${NAME} or \${NAME:-default}; $\${ stands for \${ itself`)
      return { text: '', failed: true, fromEnv: true, secret: false }
    }
    const [, name = '', fallback] = parts
    const value = Object.hasOwn(this.#env, name) ? this.#env[name] : undefined
    if (value !== undefined && (value !== '' || fallback === undefined)) {
      return { text: value, failed: false, fromEnv: true, secret: true }
    }
    if (fallback !== undefined) return { text: fallback, failed: false, fromEnv: true, secret: false }
    const others = this.hasVariable(name)
      ? `write {${name}} for the variable of that name`
      : `set it, or give a default: \${${name}:-default}`
    this.#reporter.error(place, `the environment has no variable ${name}`, others)
    return { text: '', failed: true, fromEnv: true, secret: false }
  }

  #inText(name: string, place: Place): Put {
    const value = this.#variable(name, place)
    if (value.kind === 'scalar') {
      return { text: value.text, failed: value.broken, fromEnv: false, secret: value.secret }
    }
    const message = `the variable {${name}} is a ${value.kind} and cannot stand inside a text`
    this.#reporter.error(place, message, `let the value be "{${name}}" and nothing else`)
    return { text: '', failed: true, fromEnv: false, secret: false }
  }

  #variable(name: string, usedAt: Place | undefined): Tree {
    const known = this.#resolved.get(name)
    if (known !== undefined) return known
    const entry = this.#variables.get(name)
    if (entry === undefined) throw new Error(`no variable ${name}`)
    const cycle = this.#open.indexOf(name)
    if (cycle !== -1) {
      const chain = [...this.#open.slice(cycle), name].map((part) => `{${part}}`).join(' -> ')
      this.#reporter.error(usedAt ?? entry.key, `the variable {${name}} uses itself: ${chain}`)
      return broken(entry.value)
    }
    this.#open.push(name)
    const value = this.interpolate(entry.value)
    this.#open.pop()
    this.#resolved.set(name, value)
    return value
  }

  #fits(tree: Tree, place: Place): boolean {
    this.#putIn += sizeOf(tree)
    if (this.#putIn <= maxPutIn) return true
    const message = `variables blow this configuration up to more than ${maxPutIn} values`
    if (!this.#refused) this.#reporter.error(place, message)
    this.#refused = true
    return false
  }
}

/** Where a stretch of the text with everything put in comes from, in the text as written. */
interface Piece {
  at: number
  from: number
  /** Copied character by character; else all of it stands for the one slot. */
  literal: boolean
}

interface Put {
  text: string
  failed: boolean
  fromEnv: boolean
  secret: boolean
}

/** A value that is not known, in the place of `tree`. */
function broken(tree: Tree): ScalarTree {
  const { at } = tree
  const placeOf = () => at
  return {
    kind: 'scalar',
    at,
    value: null,
    text: '',
    plain: true,
    interpolated: true,
    secret: false,
    broken: true,
    placeOf,
  }
}

function sizeOf(tree: Tree): number {
  if (tree.kind === 'scalar') return 1
  if (tree.kind === 'list') return tree.items.reduce((sum, item) => sum + sizeOf(item), 1)
  let size = 1
  for (const { value } of tree.entries.values()) size += sizeOf(value)
  return size
}

/** What to write for `{name}` without quotes, which is a map to YAML; undefined when that is not the slip. */
export function quotesForgotten(tree: Tree): string | undefined {
  if (tree.kind !== 'map' || tree.entries.size !== 1) return undefined
  for (const [name, { value }] of tree.entries) {
    if (value.kind === 'scalar' && value.value === null) return `for a variable write "{${name}}", with quotes`
  }
  return undefined
}
