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
    return stringifyBig(value)
  }
}

function stringifyBig(value: unknown): string {
  if (typeof value === 'bigint') return value.toString()
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null'
  if ('toJSON' in value && typeof value.toJSON === 'function') return stringifyBig(value.toJSON())
  if (Array.isArray(value)) return `[${Array.from(value, stringifyBig).join(',')}]`
  const pairs = Object.entries(value).filter(([, item]) => item !== undefined)
  return `{${pairs.map(([key, item]) => `${JSON.stringify(key)}:${stringifyBig(item)}`).join(',')}}`
}
