// What is wrong in a configuration, where, and what to write instead: as data, and printed as a compiler would.
import { maskedLine } from './secrets.ts'
import { lineText, type Place, position } from './source.ts'

export type Severity = 'error' | 'warning'

export interface Diagnostic {
  severity: Severity
  file: string
  /** From 1. */
  line: number
  /** From 1, in characters. */
  column: number
  message: string
  /** What to write instead. */
  hint?: string
  /** The line itself, without secrets; undefined when the file could not be read. */
  sourceLine?: string
  /** How many characters the mistake is long, at least 1. */
  length: number
}

/** Characters of a source line that are shown around the mistake. */
const shownBefore = 100
const shownAfter = 60

export function diagnosticAt(place: Place, severity: Severity, message: string, hint?: string): Diagnostic {
  const { line, column } = position(place)
  const written = lineText(place.source, line)
  const sourceLine = maskedLine(place.source.text, line)
  const [firstLine = ''] = place.source.text.slice(place.start, place.end).split(/\r?\n/, 1)
  const wholeLength = Math.max(1, Array.from(firstLine.trimEnd()).length)
  // Nor is it told how long a secret is.
  const shown = Array.from(sourceLine).length - column + 1
  const length = sourceLine === written ? wholeLength : Math.max(1, Math.min(wholeLength, shown))
  return {
    severity,
    file: place.source.file,
    line,
    column,
    message,
    ...(hint === undefined ? {} : { hint }),
    sourceLine,
    length,
  }
}

/** A mistake of a file as a whole, such as one that cannot be read. */
export function diagnosticOfFile(file: string, message: string, hint?: string): Diagnostic {
  return {
    severity: 'error',
    file,
    line: 1,
    column: 1,
    message,
    ...(hint === undefined ? {} : { hint }),
    length: 1,
  }
}

/**
 * `file:line:column: error: ...`, the line, a caret under the mistake, and the hint. No newline at the end. A file that
 * could not be read has no lines: `file: error: ...`.
 */
export function formatDiagnostic(diagnostic: Diagnostic, options: { color?: boolean } = {}): string {
  const paint = options.color === true ? ansi : plain
  const { severity, line, column, message, hint, sourceLine } = diagnostic
  const place = sourceLine === undefined ? '' : `${line}:${column}:`
  const where = `${visible(diagnostic.file)}:${place}`
  const kind = severity === 'error' ? paint.red('error:') : paint.yellow('warning:')
  const lines = [`${paint.bold(where)} ${kind} ${paint.bold(visible(message))}`]
  if (sourceLine !== undefined) {
    const { text, caret } = underline(sourceLine, column, diagnostic.length)
    lines.push(text, paint.green(caret))
  }
  if (hint !== undefined) lines.push(`${paint.cyan('hint:')} ${visible(hint)}`)
  return lines.join('\n')
}

const identity = (text: string) => text
const sgr = (code: number) => (text: string) => `\u001b[${code}m${text}\u001b[0m`
const plain = { bold: identity, red: identity, yellow: identity, green: identity, cyan: identity }
const ansi = { bold: sgr(1), red: sgr(31), yellow: sgr(33), green: sgr(32), cyan: sgr(36) }

function underline(sourceLine: string, column: number, length: number): { text: string; caret: string } {
  const chars = Array.from(sourceLine)
  const at = column - 1
  const from = Math.max(0, at - shownBefore)
  const to = Math.min(chars.length, at + shownAfter)
  const head = chars.slice(from, at)
  const marked = chars.slice(at, Math.min(to, at + length))
  const tail = chars.slice(at + marked.length, to)
  const cutBefore = from > 0 ? '...' : ''
  const cutAfter = to < chars.length ? '...' : ''
  const show = (part: readonly string[]) => part.map(visible).join('')
  // A tab stays a tab above and below, so that the caret stands right at any tab width.
  const indent = head.map((char) => (char === '\t' ? '\t' : ' '.repeat(width(visible(char))))).join('')
  const span = Math.max(1, width(show(marked)))
  return {
    text: `${cutBefore}${show(head)}${show(marked)}${show(tail)}${cutAfter}`,
    caret: `${' '.repeat(cutBefore.length)}${indent}^${'~'.repeat(span - 1)}`,
  }
}

/** Text as it may go to a terminal: control, bidirectional and unpaired characters are written out. */
export function visible(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]/gu, (char) => {
    if (char === '\t' || char === '\u200d') return char
    const code = char.codePointAt(0) ?? 0
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16).padStart(4, '0')}`
  })
}

const wideCharacter =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]|\p{Emoji_Presentation}/u

/** Columns that a text takes on a terminal. */
function width(text: string): number {
  let columns = 0
  for (const char of text) {
    if (/\p{M}|\u200d/u.test(char)) continue
    columns += wideCharacter.test(char) ? 2 : 1
  }
  return columns
}
