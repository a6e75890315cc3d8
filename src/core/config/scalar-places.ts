// Where a character of a scalar's value stands in the YAML: behind quotes, escapes, folded lines and indentation.

export type ScalarStyle = 'plain' | 'single' | 'double' | 'block'

/**
 * Offset in the source, counted from the scalar's first character, of the character at `index` of its value.
 * `raw` is the scalar as written, with its quotes or its `|` line.
 */
export function offsetInScalar(raw: string, style: ScalarStyle, value: string, index: number): number {
  if (style === 'double') return offsetInDouble(raw, index)
  const bodyStart = style === 'single' ? 1 : style === 'block' ? raw.indexOf('\n') + 1 : 0
  if (style === 'plain' && !raw.includes('\n')) return Math.min(index, raw.length)
  if (style === 'single' && !raw.includes('\n')) return offsetInSingle(raw, index)
  return offsetInFolded(raw, bodyStart, value, index, style === 'single')
}

function offsetInSingle(raw: string, index: number): number {
  let offset = 1
  for (let i = 0; i < index && offset < raw.length - 1; i++) offset += raw.startsWith("''", offset) ? 2 : 1
  return offset
}

/** Folding and indentation change white space only: the same count of other characters stands before the place. */
function offsetInFolded(raw: string, bodyStart: number, value: string, index: number, single: boolean): number {
  let toPass = value.slice(0, index).replace(/\s/g, '').length
  let offset = bodyStart
  while (offset < raw.length) {
    if (/\s/.test(raw[offset] ?? '')) {
      offset++
      continue
    }
    if (toPass === 0) return offset
    toPass--
    offset += single && raw.startsWith("''", offset) ? 2 : 1
  }
  return Math.max(0, raw.length - 1)
}

function offsetInDouble(raw: string, index: number): number {
  let offset = 1
  let passed = 0
  while (offset < raw.length - 1 && passed < index) {
    const fold = /^[ \t]*(?:\r?\n[ \t]*)+/.exec(raw.slice(offset))
    if (fold !== null) {
      const breaks = fold[0].split('\n').length - 1
      passed += Math.max(1, breaks - 1)
      offset += fold[0].length
    } else if (raw[offset] === '\\') {
      const found = /^\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|\r?\n[ \t]*|.)/s.exec(raw.slice(offset))
      const text = found?.[0] ?? '\\'
      if (text.startsWith('\\U')) passed += Number.parseInt(text.slice(2), 16) > 0xffff ? 2 : 1
      else if (!/^\\\r?\n/.test(text)) passed++
      offset += text.length
    } else {
      passed++
      offset++
    }
  }
  // An escaped line end is no character of the value.
  return offset + (/^(?:\\\r?\n[ \t]*)*/.exec(raw.slice(offset))?.[0].length ?? 0)
}
