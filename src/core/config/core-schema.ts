// How a plain scalar reads in YAML 1.2's core schema, and what YAML 1.1 would have made of it.

export type ScalarValue = string | number | boolean | null

/** The value of a plain (unquoted) scalar. */
export function resolvePlain(text: string): ScalarValue {
  if (/^(?:~|null|Null|NULL)?$/.test(text)) return null
  if (/^(?:true|True|TRUE)$/.test(text)) return true
  if (/^(?:false|False|FALSE)$/.test(text)) return false
  return readNumber(text) ?? text
}

function readNumber(text: string): number | undefined {
  if (/^0o[0-7]+$/.test(text) || /^0x[0-9a-fA-F]+$/.test(text)) return Number(text)
  if (/^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$/.test(text)) return Number(text)
  if (/^[-+]?\.(?:inf|Inf|INF)$/.test(text)) {
    return text.startsWith('-') ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY
  }
  return /^\.(?:nan|NaN|NAN)$/.test(text) ? Number.NaN : undefined
}

/** `yes`, `no`, `on`, `off`, `true` and `false` in any case, which YAML 1.1 reads as booleans. */
export function readBoolean(text: string): boolean | undefined {
  if (/^(?:yes|on|true)$/i.test(text)) return true
  return /^(?:no|off|false)$/i.test(text) ? false : undefined
}

/** True for `012`: 12 to YAML 1.2, octal 10 to YAML 1.1, and perhaps a text to whoever wrote it. */
export function isOctalLike(text: string): boolean {
  return /^[-+]?0[0-9]+$/.test(text)
}

/** What to write for a number in a spelling that is not one in YAML 1.2, or undefined. */
export function numberHint(text: string): string | undefined {
  if (isOctalLike(text)) {
    const decimal = String(Number(text))
    const digits = text.replace(/^[-+]/, '')
    if (!/^[0-7]+$/.test(digits)) return `write ${decimal}`
    const octal = Number.parseInt(digits, 8) * (text.startsWith('-') ? -1 : 1)
    return octal === Number(text) ? `write ${decimal}` : `write ${decimal}, or ${octal} for octal`
  }
  if (/^[-+]?[0-9]{1,3}(?:[_,' ][0-9]{3})+$/.test(text)) return `write ${text.replace(/[_,' ]/g, '')}`
  if (/^[-+]?0b[01]+$/.test(text)) return `write ${Number(text.replace(/^[-+]/, '')) * (text.startsWith('-') ? -1 : 1)}`
  return typeof resolvePlain(text) === 'number' ? `write ${text} without quotes` : undefined
}
