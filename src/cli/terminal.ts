// Text that came from anywhere, made harmless for a terminal.
import { visible } from '../core/config/diagnostic.ts'
import { stringifyJson } from '../core/json.ts'

/** One line of text: control, bidirectional and unpaired characters are written out. */
export function safeText(text: string, maxLength = Number.POSITIVE_INFINITY): string {
  const cut = text.length > maxLength ? `${text.slice(0, maxLength)}...` : text
  return visible(cut).replaceAll('\t', '\\t')
}

/** JSON that says the same, with every character escaped that a terminal might act on. */
export function safeJson(value: unknown): string {
  return textOf(value).replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, (char) =>
    Array.from({ length: char.length }, (_, at) => `\\u${char.charCodeAt(at).toString(16).padStart(4, '0')}`).join(''),
  )
}

function textOf(value: unknown): string {
  try {
    return stringifyJson(value)
  } catch {
    // Nested deeper than the stack: that it is there is all that can be said.
    return stringifyJson({ type: 'damage', reason: 'it is nested too deep to be written as JSON' })
  }
}
