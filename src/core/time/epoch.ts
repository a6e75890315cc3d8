// Epoch numbers: seconds, or milli-, micro- or nanoseconds told apart by their size.

/** From here on a number is taken for milliseconds (as seconds: the year 5138; as milliseconds: March 1973). */
const milliseconds = 1e11
/** From here on, microseconds. */
const microseconds = 1e14
/** From here on, nanoseconds. */
const nanoseconds = 1e17
/** From here on a number is no time. */
const none = 1e20

/** Unix seconds of an epoch number in any of the four units; NaN when it is too large for all of them. */
export function epochFromNumber(value: number | bigint): number {
  if (typeof value === 'bigint') return epochFromText(value.toString())
  const digits = unitDigits(value)
  return digits === 0 ? value : value / 10 ** digits
}

/** The same of a decimal number in text. The digits are moved as text, so that nanoseconds lose nothing before rounding. */
export function epochFromText(text: string): number {
  const value = Number(text)
  const digits = unitDigits(value)
  if (digits === 0) return value
  const end = text.indexOf('.')
  const whole = end === -1 ? text : text.slice(0, end)
  const rest = end === -1 ? '' : text.slice(end + 1)
  return Number(`${whole.slice(0, -digits)}.${whole.slice(-digits)}${rest}`)
}

/** How many decimal digits below the second the unit of a number has; NaN when it is none. */
function unitDigits(value: number): number {
  const size = Math.abs(value)
  if (size < milliseconds) return 0
  if (size < microseconds) return 3
  if (size < nanoseconds) return 6
  return size < none ? 9 : Number.NaN
}
