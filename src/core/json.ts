// Records as JSON text.

/**
 * JSON text of a value. Integers beyond 2^53 (BigInt) are written as the digits they are. Throws a RangeError for
 * data nested deeper than the stack.
 */
export function stringifyJson(value: unknown): string {
  try {
    return JSON.stringify(value) ?? 'null'
  } catch (error) {
    // BigInt is rare: only then is the slower form worth its price.
    if (!(error instanceof TypeError)) throw error
    return stringifyBig(value, '', '')
  }
}

/** The same over several lines, for people: a value a line, two spaces a level. */
export function indentJson(value: unknown): string {
  try {
    return JSON.stringify(value, null, 2) ?? 'null'
  } catch (error) {
    if (!(error instanceof TypeError)) throw error
    return stringifyBig(value, '  ', '\n')
  }
}

/** As JSON.stringify writes it, with `step` more in front of each line that stands deeper. */
function stringifyBig(value: unknown, step: string, newline: string): string {
  if (typeof value === 'bigint') return value.toString()
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null'
  if ('toJSON' in value && typeof value.toJSON === 'function') return stringifyBig(value.toJSON(), step, newline)
  const inner = newline + step
  const colon = step === '' ? ':' : ': '
  const enclose = (open: string, parts: readonly string[], close: string) =>
    parts.length === 0 ? open + close : `${open}${inner}${parts.join(`,${inner}`)}${newline}${close}`
  if (Array.isArray(value)) {
    return enclose(
      '[',
      Array.from(value, (item) => stringifyBig(item, step, inner)),
      ']',
    )
  }
  const pairs = Object.entries(value).filter(([, item]) => item !== undefined)
  return enclose(
    '{',
    pairs.map(([key, item]) => `${JSON.stringify(key)}${colon}${stringifyBig(item, step, inner)}`),
    '}',
  )
}
