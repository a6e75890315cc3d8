// Texts with strftime directives and `{field}`s of the record in them: paths, table names, texts of alerts.
import type { EventRecord } from './event.ts'
import { compileField } from './field.ts'
import { stringifyJson } from './json.ts'
import { compileStrftime, type FormatMistake, formatMistake, formatStep, roundMicroseconds } from './time/format.ts'
import { utc, type Zone } from './time/zone.ts'

/** What stands for a field that an event lacks, or that is null. */
export const missingField = 'unknown'

export type TemplatePart =
  /** Literal text with directives in it. */
  | { kind: 'text'; format: string }
  /** `{a.b}`: a dotted path of the record. */
  | { kind: 'field'; path: string }

/**
 * The text for an event. `{tag}` is its tag when the record has no field of that name. Throws DATE_UNREADABLE for a time
 * outside of the years 1 to 9999.
 */
export type Template = (time: number, record: EventRecord, tag?: string) => string

export interface TemplateOptions {
  /** Zone of the directives; default UTC. */
  zone?: Zone
  /** Changes what a directive gives. */
  directive?(text: string): string
  /** Text of a field's value. */
  field?(value: unknown): string
  /** Puts the texts of the parts, in order, together. */
  join?(texts: readonly string[]): string
}

/** Texts kept for the field values of a template, as long as the directives give the same. */
const maxTexts = 1000
/** Characters of field values that are worth keeping. */
const maxKeyLength = 256

/** Braces that hold nothing, a percent sign or another brace are text. */
const fieldPattern = /\{([^{}%]+)\}/g

export function parseTemplate(template: string): TemplatePart[] {
  const parts: TemplatePart[] = []
  let end = 0
  for (const { 0: found, 1: path = '', index } of template.matchAll(fieldPattern)) {
    if (index > end) parts.push({ kind: 'text', format: template.slice(end, index) })
    parts.push({ kind: 'field', path })
    end = index + found.length
  }
  if (end < template.length) parts.push({ kind: 'text', format: template.slice(end) })
  return parts
}

/** The first directive that does not exist, or undefined. */
export function templateMistake(template: string): FormatMistake | undefined {
  // Fields keep their length, so that the index fits.
  return formatMistake(template.replace(fieldPattern, (found) => '{'.padEnd(found.length, '_')))
}

/**
 * Compiles a template. Texts are kept: an event with field values seen before, within the time for which the directives
 * give the same, costs a few comparisons or a look-up.
 */
export function compileTemplate(template: string, options: TemplateOptions = {}): Template {
  const { zone = utc, directive, field = fieldText, join = (texts) => texts.join('') } = options
  const parts = parseTemplate(template)
  const formats = parts.flatMap((part) => (part.kind === 'text' ? [part.format] : []))
  const every = Math.min(...formats.map((format) => formatStep(format, zone)), formatStep('', zone))
  const formatters = formats.map((format) =>
    compileStrftime(format, directive === undefined ? { zone } : { zone, each: directive }),
  )
  const fields = parts.flatMap((part) => (part.kind === 'field' ? [compileField(part.path)] : []))
  const values: unknown[] = fields.map(() => undefined)
  const texts = new Map<string, string>()
  let from = Number.NaN
  let last: string | undefined

  function render(time: number): string {
    let text = 0
    let value = 0
    return join(
      parts.map((part) => (part.kind === 'field' ? field(values[value++]) : (formatters[text++]?.(time) ?? ''))),
    )
  }

  function renderOnce(time: number): string {
    const key = every > 0 ? keyOf(values) : undefined
    if (key === undefined) return render(time)
    let text = texts.get(key)
    if (text === undefined) {
      text = render(time)
      if (texts.size >= maxTexts) texts.clear()
      texts.set(key, text)
    }
    return text
  }

  return (time, record, tag) => {
    const moment = roundMicroseconds(time)
    if (!(moment >= from && moment < from + every)) {
      from = every > 0 ? Math.floor(moment / every) * every : Number.NaN
      texts.clear()
      last = undefined
    }
    for (let i = 0; i < fields.length; i++) {
      const field = fields[i]
      const value = field?.get(record) ?? (field?.path === 'tag' ? tag : undefined)
      // An object may have been changed since it was seen last.
      if (value === values[i] && typeof value !== 'object') continue
      values[i] = value
      last = undefined
    }
    last ??= renderOnce(moment)
    return last
  }
}

/** A key that differs for different values; undefined for what is not kept. */
function keyOf(values: readonly unknown[]): string | undefined {
  let key = ''
  for (const value of values) {
    if (typeof value !== 'string') return undefined
    // The length in front tells where a value ends.
    key = values.length === 1 ? value : `${key}${value.length}:${value}`
  }
  return key.length <= maxKeyLength ? key : undefined
}

/** Strings as they are, other values as JSON. Throws a RangeError for what is nested too deep. */
export function fieldText(value: unknown): string {
  if (typeof value === 'string') return value
  return value === undefined || value === null ? missingField : stringifyJson(value)
}
