// The bytes of a batch that waits in the state for the target of an output.
import { deserialize } from 'node:v8'
import { type Event, isPlainObject } from '../event.ts'

/** The events of a batch. Throws when it is something else: what it is given may come from anywhere. */
export function decodeBatch(data: Uint8Array): Event[] {
  const rows: unknown = deserialize(data)
  if (!Array.isArray(rows)) throw noBatch()
  return rows.map((row: unknown) => {
    if (!Array.isArray(row)) throw noBatch()
    const [tag, timestamp, record, metadata] = row as unknown[]
    if (typeof tag !== 'string' || typeof timestamp !== 'number' || !isPlainObject(record)) throw noBatch()
    return isPlainObject(metadata) ? { tag, timestamp, record, metadata } : { tag, timestamp, record }
  })
}

function noBatch(): Error {
  return new Error('it is no batch of events')
}
