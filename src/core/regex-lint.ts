// Finds regexes that a hostile text can make slow: a nested quantifier that V8's linear-time fallback does not cover.
import { type CharSet, overlap } from './regex-set.ts'
import type { Choice, Node, RegexTree } from './regex-tree.ts'

/** V8's engine writes out the copies of a repeated part: it takes no more than this. */
const maxCopies = 16

/** A bounded repetition up to this counts as harmless. */
const harmless = 8

/** The offset of a quantifier in the regex and what to say of it; undefined when nothing can blow up. */
export function lintRegex(tree: RegexTree): { index: number; message: string } | undefined {
  const why = notLinear(tree)
  if (why === undefined) return undefined
  const index = findNested(tree.body)
  if (index === undefined) return undefined
  return {
    index,
    message: `this quantifier repeats a part that can match the same text in several ways, and with ${why} V8 cannot fall back to its linear-time engine: a hostile text could stop the pipeline. Make the repeated parts exclude each other, or do without ${why}`,
  }
}

/** Why V8's linear-time engine cannot run the regex, or undefined when it can. */
export function notLinear(tree: RegexTree): string | undefined {
  if (tree.needsUnicode) return 'a class that names characters past U+FFFF'
  return choiceNotLinear(tree.body, { copies: 1, head: true, tail: true })
}

/** Head and tail as the translation sees them: there it does without look-arounds. */
interface Place {
  copies: number
  head: boolean
  tail: boolean
}

function choiceNotLinear(choice: Choice, { copies, head, tail }: Place): string | undefined {
  for (const nodes of choice) {
    for (const [i, node] of nodes.entries()) {
      const why = nodeNotLinear(node, { copies, head: head && i === 0, tail: tail && i === nodes.length - 1 })
      if (why !== undefined) return why
    }
  }
  return undefined
}

function nodeNotLinear(node: Node, { copies, head, tail }: Place): string | undefined {
  switch (node.kind) {
    case 'set':
      return undefined
    case 'back':
      return 'a reference back to a group'
    case 'look':
      return 'a look-around'
    case 'assert':
      if ((node.what === 'end' || node.what === 'lineEnd') && !tail) return 'a $ before the end of the regex'
      return node.what === 'lineStart' && !head ? 'a ^ under flag m' : undefined
    case 'group':
      return choiceNotLinear(node.body, { copies, head: head && !node.capture, tail: tail && !node.capture })
    case 'repeat': {
      const more = copies * Math.max(1, node.max === Number.POSITIVE_INFINITY ? node.min + 1 : node.max)
      if (more > maxCopies) return `more than ${maxCopies} repetitions in a {m,n}`
      return nodeNotLinear(node.body, { copies: more, head: false, tail: false })
    }
  }
}

/** The first repetition, from the left, of something that can match one text in more than one way. */
function findNested(choice: Choice): number | undefined {
  for (const nodes of choice) {
    for (const node of nodes) {
      const found = nestedIn(node)
      if (found !== undefined) return found
    }
  }
  return undefined
}

function nestedIn(node: Node): number | undefined {
  if (node.kind === 'group' || node.kind === 'look') return findNested(node.body)
  if (node.kind !== 'repeat') return undefined
  if (node.max > harmless && node.body.kind === 'group' && ambiguous(node.body.body)) return node.at
  return nestedIn(node.body)
}

function ambiguous(choice: Choice): boolean {
  return choice.some(endsAnywhere) || choice.some((a, i) => choice.slice(i + 1).some((b) => canStartAlike(a, b)))
}

/** A repeated sequence whose own length is open, without a character in between that tells where each pass ends. */
function endsAnywhere(nodes: readonly Node[]): boolean {
  if (nodes.length === 1 && nodes[0]?.kind === 'group') return ambiguous(nodes[0].body)
  const open = nodes.filter(isOpen)
  if (open.length === 0) return false
  const parts = open.flatMap(setsOf)
  return !nodes.some((node) => node.kind === 'set' && parts.every((part) => !overlap(part, node.set)))
}

function isOpen(node: Node): boolean {
  if (node.kind === 'repeat') return node.max > harmless || (node.min === 0 && node.max > 0) || isOpen(node.body)
  return node.kind === 'group' && node.body.some((nodes) => nodes.some(isOpen))
}

/** Every character set within a node. */
function setsOf(node: Node): CharSet[] {
  if (node.kind === 'set') return [node.set]
  if (node.kind === 'repeat') return setsOf(node.body)
  if (node.kind === 'group') return node.body.flat().flatMap(setsOf)
  return []
}

/** Compares character by character as far as both are plain; past that, takes them for alike. */
function canStartAlike(a: readonly Node[], b: readonly Node[]): boolean {
  for (let i = 0; i < Math.min(a.length, b.length); i++) {
    const [x, y] = [firstSet(a[i]), firstSet(b[i])]
    if (x === undefined || y === undefined) return true
    if (!overlap(x, y)) return false
    if (a[i]?.kind !== 'set' || b[i]?.kind !== 'set') return true
  }
  return true
}

/** The set of the first character, when the node has one for sure. */
function firstSet(node: Node | undefined): CharSet | undefined {
  if (node?.kind === 'set') return node.set
  return node?.kind === 'repeat' && node.min > 0 ? firstSet(node.body) : undefined
}
