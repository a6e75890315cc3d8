// Paths made of templates: whatever an event holds, the path stays below the folder that the template fixes.
import { z } from 'zod'
import { FeedooError } from './errors.ts'
import type { EventRecord } from './event.ts'
import { compileTemplate, fieldText, parseTemplate, templateMistake } from './template.ts'

/** Bytes of a file name, as Linux allows them. */
const maxNameBytes = 255
/** Bytes of a path, as Linux allows them, without the NUL. */
const maxPathBytes = 4095
/** Characters of a value that are looked at: more cannot get into a file name. */
const maxValueLength = 2 * maxNameBytes

export interface PathTemplate {
  /** The folder that stands before the first directive or field; empty for the working directory. */
  readonly fixed: string
  /** True when events have a say in the path. */
  readonly hasFields: boolean
  /**
   * The path for an event. `{tag}` is its tag when the record has no field of that name. Throws DATE_UNREADABLE for a time outside of the years 1 to 9999, OUTPUT_REJECTED for a path
   * that is too long, a RangeError for a value nested too deep.
   */
  path(time: number, record: EventRecord, tag?: string): string
}

/** A template of a path: a parameter that actions describe. */
export const pathTemplateParam = z
  .string()
  .min(1)
  .superRefine((value, context) => {
    const mistake = templateMistake(value) ?? pathMistake(value)
    if (mistake !== undefined) {
      context.addIssue({ code: 'custom', message: mistake.message, params: { index: mistake.index } })
    }
  })

/**
 * Compiles a path. In what fields and directives give, `/`, `..` and control characters become `_`, and so does a name
 * that would be empty, `.` or `..`. Values are cut so that a name has at most 255 bytes.
 */
export function compilePath(template: string): PathTemplate {
  const parts = parseTemplate(template)
  const isField = parts.map((part) => part.kind === 'field')
  const render = compileTemplate(template, {
    directive: plainName,
    field: (value) => plainName(fieldText(value)) || '_',
    join: (texts) => joinNames(texts, isField),
  })
  return { fixed: fixedFolder(template), hasFields: isField.includes(true), path: render }
}

/** The literal beginning of a template, up to and with its last slash. */
function fixedFolder(template: string): string {
  const [first] = parseTemplate(template)
  if (first?.kind !== 'text') return ''
  const literal = /^(?:[^%]|%%)*/.exec(first.format)?.[0] ?? ''
  return literal.slice(0, literal.lastIndexOf('/') + 1).replaceAll('%%', '%')
}

function pathMistake(template: string): { index: number; message: string } | undefined {
  const fixedLength = /^(?:[^%{]|%%)*\//.exec(template)?.[0].length ?? 0
  let index = 0
  for (const name of template.split('/')) {
    if (name === '..' && index >= fixedLength) {
      return { index, message: 'a path goes up (..) only before its first directive or field' }
    }
    index += name.length + 1
  }
  if (template.includes('\0')) return { index: template.indexOf('\0'), message: 'a path holds no NUL' }
  if (/(?:^|\/)\.{0,2}$/.test(template)) return { index: template.length - 1, message: 'the path names no file' }
  return undefined
}

function plainName(text: string): string {
  return text.slice(0, maxValueLength).replace(/\.\.|[/\u0000-\u001f\u007f-\u009f]/g, '_')
}

/** Puts the texts together, one name between two slashes at a time. Slashes come from literal text only. */
function joinNames(texts: readonly string[], isField: readonly boolean[]): string {
  const path: string[] = []
  let name: Piece[] = []
  texts.forEach((text, i) => {
    if (isField[i]) {
      name.push({ text, field: true })
      return
    }
    const [first = '', ...others] = text.split('/')
    name.push({ text: first, field: false })
    for (const other of others) {
      path.push(joinName(name))
      name = [{ text: other, field: false }]
    }
  })
  path.push(joinName(name))
  const joined = path.join('/')
  if (Buffer.byteLength(joined) > maxPathBytes) {
    throw new FeedooError('OUTPUT_REJECTED', `the path has more than ${maxPathBytes} bytes`)
  }
  return joined
}

interface Piece {
  text: string
  field: boolean
}

function joinName(pieces: readonly Piece[]): string {
  const name = pieces.map(({ text }) => text).join('')
  const fields = pieces.filter(({ field }) => field)
  // A name without a field is what the template's author wrote.
  if (fields.length === 0) return name
  if (name === '.' || name === '..') return '_'.repeat(name.length)
  if (Buffer.byteLength(name) <= maxNameBytes) return name
  const fieldBytes = fields.reduce((bytes, { text }) => bytes + Buffer.byteLength(text), 0)
  const room = maxNameBytes - (Buffer.byteLength(name) - fieldBytes)
  const share = Math.max(1, Math.floor(room / fields.length))
  // The text around the fields, such as the suffix, is kept as long as there is room for it.
  return cutBytes(pieces.map(({ text, field }) => (field ? cutBytes(text, share) : text)).join(''), maxNameBytes)
}

/** The beginning of a text, at most `max` bytes of whole characters. */
function cutBytes(text: string, max: number): string {
  const bytes = Buffer.from(text)
  if (bytes.length <= max) return text
  let end = max
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end--
  return bytes.toString('utf8', 0, end)
}
