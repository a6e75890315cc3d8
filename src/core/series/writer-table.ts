// Table names made of a template: whatever an event holds, what comes out is a name that the store takes.
import { z } from 'zod'
import { compileTemplate, fieldText, parseTemplate, type Template, templateMistake } from '../template.ts'

/** What a store allows in the name of a table. */
export interface TableNameRules {
  /** Bytes (UTF-8) of a name at most. */
  maxBytes: number
  /** Replaces, in what a field or a directive gives, what no name may hold. */
  clean(text: string): string
  /** Has the last word on a name: a prefix that the store keeps for itself, ... Adds 16 bytes at most. */
  finish?(name: string): string
}

/** Bytes that `finish` may add. */
const finishBytes = 16

/** A template of a table name: a parameter that outputs describe. */
export const tableTemplateParam = z
  .string()
  .min(1)
  .max(1000)
  .superRefine((value, context) => {
    const mistake = templateMistake(value) ?? controlMistake(value)
    if (mistake !== undefined) {
      context.addIssue({ code: 'custom', message: mistake.message, params: { index: mistake.index } })
    }
  })

/**
 * Compiles a table name: strftime directives in UTC, `{field}` for a value of the record, `{tag}` for the tag. A value
 * that would be empty is `_`, one that is missing or null `unknown`. Fields are cut so that the name keeps to its bytes,
 * and the text around them stays. Throws as a Template does: DATE_UNREADABLE, or a RangeError for a value nested too deep.
 */
export function compileTableName(template: string, rules: TableNameRules): Template {
  const isField = parseTemplate(template).map((part) => part.kind === 'field')
  const maxBytes = rules.maxBytes - finishBytes
  return compileTemplate(template, {
    directive: rules.clean,
    // Characters beyond the bytes cannot get into the name: they need not be looked at.
    field: (value) => rules.clean(fieldText(value).slice(0, rules.maxBytes)) || '_',
    join(texts) {
      const name = cutTexts(texts, isField, maxBytes)
      return rules.finish === undefined ? name : rules.finish(name)
    },
  })
}

/** Control characters become `_`, and so does half of a surrogate pair, which is no text. */
export function withoutControls(text: string): string {
  return text.replace(/[\p{Cc}\p{Cs}]/gu, '_')
}

/** The beginning of a text, at most `max` bytes of whole characters. */
export function cutBytes(text: string, max: number): string {
  const bytes = Buffer.from(text)
  if (bytes.length <= max) return text
  let end = max
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end--
  return bytes.toString('utf8', 0, end)
}

function cutTexts(texts: readonly string[], isField: readonly boolean[], maxBytes: number): string {
  const name = texts.join('')
  if (Buffer.byteLength(name) <= maxBytes) return name
  const fields = texts.filter((_, i) => isField[i])
  const fixedBytes = Buffer.byteLength(name) - fields.reduce((bytes, text) => bytes + Buffer.byteLength(text), 0)
  const share = Math.max(1, Math.floor((maxBytes - fixedBytes) / Math.max(1, fields.length)))
  return cutBytes(texts.map((text, i) => (isField[i] ? cutBytes(text, share) : text)).join(''), maxBytes)
}

function controlMistake(template: string): { index: number; message: string } | undefined {
  const index = template.search(/\p{Cc}/u)
  return index < 0 ? undefined : { index, message: 'the name of a table holds no control characters' }
}
