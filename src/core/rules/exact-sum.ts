// Sums of doubles that stay exact while numbers come and go: a running sum would keep what rounding left of those that went.

/*
 * Shewchuk, "Adaptive Precision Floating-Point Arithmetic", 1997: a sum is a list of parts that do not overlap, the smallest
 * first. Of numbers as they occur there are one to three.
 */

/** A sum of nothing, with room for as many parts as it mostly has: a list that begins empty makes room for 17. */
export function newSum(): number[] {
  const parts = [0.5, 0.5, 0.5]
  parts.length = 0
  return parts
}

/** Adds a number; to take one away, add its negative. The total must stay below the largest double. */
export function addExactly(parts: number[], number: number): void {
  let high = number
  let used = 0
  for (let i = 0; i < parts.length; i++) {
    let low = parts[i] ?? 0
    if (Math.abs(high) < Math.abs(low)) {
      const other = high
      high = low
      low = other
    }
    const sum = high + low
    const rest = low - (sum - high)
    if (rest !== 0) parts[used++] = rest
    high = sum
  }
  parts.length = used
  if (high !== 0) parts.push(high)
}

/** The double next to the sum: the same whatever the order in which its numbers came. */
export function roundedSum(parts: readonly number[]): number {
  let i = parts.length - 1
  let sum = parts[i] ?? 0
  let rest = 0
  while (i > 0 && rest === 0) {
    const low = parts[--i] ?? 0
    const high = sum
    sum = high + low
    rest = low - (sum - high)
  }
  // Half a unit was rounded to even: what lies below it says which way is nearer.
  const below = parts[i - 1] ?? 0
  if (rest !== 0 && below !== 0 && rest < 0 === below < 0) {
    const twice = rest * 2
    const other = sum + twice
    if (twice === other - sum) return other
  }
  return sum
}
