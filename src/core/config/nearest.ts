// "Did you mean": the nearest of the names that exist.

/** The name nearest to what was written, or undefined when none is near enough to be meant. */
export function nearest(written: string, names: Iterable<string>): string | undefined {
  const wanted = simplify(written)
  let best: string | undefined
  let bestDistance = Number.POSITIVE_INFINITY
  for (const name of names) {
    const distance = distanceTo(wanted, simplify(name))
    if (distance < bestDistance) {
      best = name
      bestDistance = distance
    }
  }
  return bestDistance <= Math.max(1, Math.floor(wanted.length / 3)) ? best : undefined
}

/** `did you mean "x"?`, or undefined. */
export function didYouMean(written: string, names: Iterable<string>): string | undefined {
  const name = nearest(written, names)
  return name === undefined ? undefined : `did you mean "${name}"?`
}

function simplify(name: string): string {
  return name.toLowerCase().replaceAll('-', '_')
}

function distanceTo(wanted: string, name: string): number {
  // The beginning or the end of a name, whole words of it, is a near miss however much is left out.
  const parts = name.split('_')
  if (parts.length > 1 && wanted.length >= 3 && (name.endsWith(`_${wanted}`) || name.startsWith(`${wanted}_`))) return 1
  return editDistance(wanted, name)
}

/** Insertions, deletions, replacements and swaps of neighbours that turn `a` into `b`. */
export function editDistance(a: string, b: string): number {
  const width = b.length + 1
  const table = new Uint32Array((a.length + 1) * width)
  const get = (i: number, j: number) => table[i * width + j] ?? 0
  for (let i = 0; i <= a.length; i++) {
    for (let j = 0; j <= b.length; j++) {
      let cost = Math.max(i, j)
      if (i > 0 && j > 0) {
        const replace = get(i - 1, j - 1) + (a[i - 1] === b[j - 1] ? 0 : 1)
        cost = Math.min(replace, get(i - 1, j) + 1, get(i, j - 1) + 1)
        const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
        if (swapped) cost = Math.min(cost, get(i - 2, j - 2) + 1)
      }
      table[i * width + j] = cost
    }
  }
  return get(a.length, b.length)
}
