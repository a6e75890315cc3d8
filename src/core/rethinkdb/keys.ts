// Primary keys, given as JSON text, in RethinkDB's order.

/** RethinkDB's order of primary keys, given as JSON text: by type, then by value; text by its bytes. */
export function compareKeys(a: string, b: string): number {
  const left: unknown = JSON.parse(a)
  const right: unknown = JSON.parse(b)
  const byType = rankOf(left) - rankOf(right)
  if (byType !== 0) return byType
  if (typeof left === 'string' && typeof right === 'string')
    return Buffer.compare(Buffer.from(left), Buffer.from(right))
  if (typeof left === 'number' && typeof right === 'number') return left - right
  if (typeof left === 'boolean' && typeof right === 'boolean') return Number(left) - Number(right)
  // Lists, dates and bytes: taken for equal, so that such a row counts as read or late rather than as still to come.
  return 0
}

function rankOf(key: unknown): number {
  if (Array.isArray(key)) return 0
  return ['boolean', 'number', 'object', 'string'].indexOf(typeof key) + 1
}
