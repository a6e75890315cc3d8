// Says what is wrong with YAML in words of those who write it, and where they look for it.
import { type Document, isMap, isNode, isScalar, isSeq, visit } from 'yaml'
import type { Reporter } from './reporter.ts'
import { position, type Source } from './source.ts'

/** Reports what is wrong with a document that is not YAML. */
export function reportSyntax(document: Document.Parsed, source: Source, reporter: Reporter): void {
  const all = [...document.errors, ...document.warnings].sort((a, b) => a.pos[0] - b.pos[0])
  // A tab makes everything around it look wrong.
  const tabs = all.filter(({ code }) => code === 'TAB_AS_INDENT')
  const seen = new Set<number>()
  for (const problem of tabs.length > 0 ? tabs : all) {
    const end = Math.min(problem.pos[0], source.text.length)
    const slip = neverClosed(document, problem.message, source.text, end) ?? bareEnvironment(source.text, end)
    const { message, hint } = slip ?? explainSyntax(problem.code, problem.message)
    const start = slip?.start ?? end
    const place = { source, start, end: Math.max(start + 1, problem.pos[1]) }
    // One slip often makes several errors in a row: the first on a line tells of it.
    const { line } = position(place)
    if (!seen.has(line)) reporter.error(place, message, hint)
    seen.add(line)
    // From here on the parser has lost its way.
    if (problem.code === 'UNEXPECTED_TOKEN') return
  }
}

function explainSyntax(code: string, message: string): { message: string; hint?: string } {
  switch (code) {
    case 'TAB_AS_INDENT':
      return { message: 'a tab cannot indent YAML', hint: 'use spaces' }
    case 'BLOCK_AS_IMPLICIT_KEY':
      return {
        message: 'a key with a value cannot stand here',
        hint: 'check the indentation of this line and the next; put text that holds ": " in quotes',
      }
    case 'MULTIPLE_DOCS':
      return { message: 'a second document starts here; a configuration is one', hint: 'remove this `---`' }
    case 'BAD_SCALAR_START':
      return { message: lowerFirst(message), hint: 'put the text in quotes' }
    case 'BAD_ALIAS':
      return { message: 'a * without quotes begins an alias', hint: 'write "*"' }
    case 'BAD_DQ_ESCAPE':
      return {
        message: lowerFirst(message),
        hint: "a backslash begins an escape between double quotes; use single quotes: '\\d+'",
      }
    case 'TAG_RESOLVE_FAILED':
      return { message: lowerFirst(message), hint: 'remove the tag; text that starts with ! needs quotes' }
    default:
      return { message: lowerFirst(message) }
  }
}

interface Slip {
  start: number
  message: string
  hint?: string
}

/** `[${NAME}]`: within brackets and braces YAML takes the `{` for a map. */
function bareEnvironment(text: string, end: number): Slip | undefined {
  if (text.slice(end - 1, end + 1) !== '${') return undefined
  const [whole] = /^\$\{[^}\n]*\}?/.exec(text.slice(end - 1)) ?? ['${']
  return { start: end - 1, message: `within brackets and braces ${whole} needs quotes`, hint: `write "${whole}"` }
}

/** What is never closed, the parser reports where it gives up: a person looks for where it opens. */
function neverClosed(document: Document.Parsed, message: string, text: string, end: number): Slip | undefined {
  const quote = /^Missing closing .*quote/.test(message)
  if (!quote && !/^Flow (?:map|sequence) .*must be sufficiently indented/.test(message)) return undefined
  if (!quote && /[\]}]/.test(text[end] ?? '')) {
    return { start: end, message: `this ${text[end]} must be indented further than the key it belongs to` }
  }
  let start = end
  visit(document, (_, node) => {
    const opens = quote ? isScalar(node) && /^QUOTE/.test(node.type ?? '') : (isMap(node) || isSeq(node)) && node.flow
    if (opens && isNode(node) && node.range && node.range[0] < end && node.range[1] >= end - 1) start = node.range[0]
  })
  return start === end ? undefined : { start, message: `this ${text[start]} is never closed` }
}

function lowerFirst(text: string): string {
  return /^[A-Z][a-z]/.test(text) ? text.charAt(0).toLowerCase() + text.slice(1) : text
}
