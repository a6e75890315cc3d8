// The texts in the value of a field, which may be a list or a map of them.
import { isPlainObject } from '../event.ts'

/** As deep as records are copied: what is deeper holds itself, or is an attack. */
const maxDepth = 200_000

/**
 * A text itself; a number or a boolean as it is written in JSON; of a list or a map all values in it, however deep, in
 * order, but not the keys; bytes read as UTF-8. Nothing for null and for what is absent. A RangeError for what is nested more
 * than 200,000 levels deep.
 */
export function textsIn(value: unknown): string[] {
  const texts: string[] = []
  /** What is still to be looked at, the next at the end: a record may be nested deeper than the stack goes. */
  const left = [value]
  /** How deep each of these lies. */
  const depths = [0]
  const push = (item: unknown, depth: number): void => {
    if (depth > maxDepth) throw new RangeError(`nested more than ${maxDepth} levels deep`)
    left.push(item)
    depths.push(depth)
  }
  while (left.length > 0) {
    const next = left.pop()
    const depth = (depths.pop() ?? 0) + 1
    if (typeof next === 'string') texts.push(next)
    else if (typeof next === 'number' || typeof next === 'boolean' || typeof next === 'bigint') texts.push(String(next))
    else if (Array.isArray(next)) for (let i = next.length - 1; i >= 0; i--) push(next[i], depth)
    else if (isPlainObject(next)) for (const key of Object.keys(next).reverse()) push(next[key], depth)
    else if (next instanceof Uint8Array) texts.push(Buffer.from(next.buffer, next.byteOffset, next.length).toString())
    else if (next instanceof Date) texts.push(JSON.stringify(next).replaceAll('"', ''))
  }
  return texts
}
