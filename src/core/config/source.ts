// The text of a configuration file, and places in it.
import { LineCounter } from 'yaml'

export interface Source {
  /** The path as the user would write it. */
  readonly file: string
  readonly text: string
  readonly lines: LineCounter
}

/** A stretch of a source: offsets in UTF-16 units, `end` not included. */
export interface Place {
  readonly source: Source
  readonly start: number
  readonly end: number
}

export function createSource(file: string, text: string): Source {
  const lines = new LineCounter()
  lines.addNewLine(0)
  for (let i = text.indexOf('\n'); i !== -1; i = text.indexOf('\n', i + 1)) lines.addNewLine(i + 1)
  return { file, text, lines }
}

/** Line and column of a place, both from 1; the column counts characters, not bytes or UTF-16 units. */
export function position({ source, start }: Place): { line: number; column: number } {
  const { line } = source.lines.linePos(start)
  const lineStart = source.lines.lineStarts[line - 1] ?? 0
  return { line, column: Array.from(source.text.slice(lineStart, start)).length + 1 }
}

/** The text of a line, without its end. */
export function lineText(source: Source, line: number): string {
  const start = source.lines.lineStarts[line - 1] ?? 0
  const end = source.text.indexOf('\n', start)
  return source.text.slice(start, end === -1 ? undefined : end).replace(/\r$/, '')
}

/** `file:line:column`. */
export function placeText(place: Place): string {
  const { line, column } = position(place)
  return `${place.source.file}:${line}:${column}`
}
