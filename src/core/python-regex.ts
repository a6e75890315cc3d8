// Translates a regex written for Python's re.match into one that JavaScript runs to the same effect.
import { messageOf } from './errors.ts'
import { RegexMistake } from './regex-cursor.ts'
import { printSet } from './regex-set.ts'
import { type Assertion, type Choice, type Node, parseRegex, type RegexTree } from './regex-tree.ts'

export interface TranslatedRegex {
  /** Matches at the start of the text only. */
  regex: RegExp
  /**
   * The named groups in their order. In `regex` they have numbers only: V8 builds an object of named groups at each
   * match, which costs a third more.
   */
  groups: RegexTree['groups']
  tree: RegexTree
}

/**
 * Throws a RegexMistake, with the offset of the mistake in `text`.
 *
 * `$` also matches before a newline at the end, `.` takes all but a newline, `\s` takes Python's white space: as in
 * Python. `\d`, `\w` and `\b` know ASCII only, where Python's know all of Unicode.
 */
export function translateRegex(text: string): TranslatedRegex {
  const tree = parseRegex(text)
  const flags = (tree.ignoreCase && tree.hasBack ? 'i' : '') + (tree.needsUnicode ? 'u' : '')
  // Not the sticky flag: resetting lastIndex costs more than ^, and no ^ of ours ever means a later line.
  const source = `^(?:${printChoice(tree.body, { unicode: tree.needsUnicode, head: true, tail: true })})`
  try {
    const regex = new RegExp(source, flags)
    // V8 compiles at the first use, once for each width of text: what is too large for it shows here.
    regex.exec('')
    regex.exec('\u0100')
    return { regex, groups: tree.groups, tree }
  } catch (error) {
    throw new RegexMistake(0, messageOf(error).replace(/^Invalid regular expression: .*: /s, ''))
  }
}

interface Place {
  unicode: boolean
  /** Nothing of the regex stands before it. */
  head: boolean
  /** Nothing stands behind it, and no group holds what it takes: it may take text that it need only look at. */
  tail: boolean
}

function printChoice(choice: Choice, place: Place): string {
  return choice.map((nodes) => printSequence(nodes, place)).join('|')
}

function printSequence(nodes: readonly Node[], place: Place): string {
  const last = nodes.length - 1
  return nodes
    .map((node, i) =>
      printNode(node, { unicode: place.unicode, head: place.head && i === 0, tail: place.tail && i === last }),
    )
    .join('')
}

function printNode(node: Node, place: Place): string {
  const inner = { ...place, head: false, tail: false }
  switch (node.kind) {
    case 'set':
      return printSet(node.set, place.unicode)
    case 'assert':
      return printAssertion(node.what, place)
    case 'group':
      return node.capture ? `(${printChoice(node.body, inner)})` : `(?:${printChoice(node.body, place)})`
    case 'look':
      return `(?${node.behind ? '<' : ''}${node.negated ? '!' : '='}${printChoice(node.body, inner)})`
    case 'back':
      // In a group of its own: a digit may follow.
      return `(?:\\${node.group})`
    case 'repeat':
      return printNode(node.body, inner) + printQuantifier(node.min, node.max) + (node.lazy ? '?' : '')
  }
}

function printQuantifier(min: number, max: number): string {
  if (max === Number.POSITIVE_INFINITY) return min === 0 ? '*' : min === 1 ? '+' : `{${min},}`
  return min === 0 && max === 1 ? '?' : `{${min},${max}}`
}

/** Flag m is never used: JavaScript's lines also end at U+000D, U+2028 and U+2029. */
function printAssertion(what: Assertion, { head, tail }: Place): string {
  switch (what) {
    case 'start':
      return '^'
    case 'textEnd':
      return '$'
    case 'boundary':
      return '\\b'
    case 'notBoundary':
      return '\\B'
    // A look-around shuts out V8's linear-time engine: at both ends of the regex it goes without.
    case 'lineStart':
      return head ? '^' : '(?<![^\\n])'
    case 'end':
      return tail ? '\\n?$' : '(?=\\n?$)'
    case 'lineEnd':
      return tail ? '(?:\\n|$)' : '(?=\\n|$)'
  }
}
