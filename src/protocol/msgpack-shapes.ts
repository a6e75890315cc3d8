// Maps whose keys come again and again in the same order: the keys are compared as bytes, and not read as text, and a
// compiled constructor makes the object, in an eighth of the time that setting keys of unknown name takes.
import { type MsgpackMap, setPair } from './msgpack-map.ts'

/** A sequence of keys. */
export interface Shape {
  readonly keys: readonly string[]
  /** The keys as they stand on the wire, with their headers, one after another. */
  readonly bytes: DataView
  /** Where in `bytes` each key ends. */
  readonly ends: Uint32Array
  /** Makes the map of the values that stand in `values` from index `from` on. */
  readonly build: (values: readonly unknown[], from: number) => MsgpackMap
}

/** Where the shape of maps that look alike at first sight is kept. */
export interface ShapeSlot {
  shape: Shape | undefined
  /** Maps that had other keys, less those that had these. */
  misses: number
}

/** Keys of a map that may have a shape. */
export const maxShapeKeys = 64
/** Bytes of the keys of a shape: with the number of slots it bounds the memory. */
const maxShapeBytes = 2048
/** Maps of other keys before a slot changes its shape: to compile one takes as long as to read some ten maps. */
const missesToLearn = 32
const slotMask = 255
const slots: ShapeSlot[] = Array.from({ length: slotMask + 1 }, () => ({ shape: undefined, misses: 0 }))

/** The slot for maps of so many keys of which the first one has the given first two bytes. */
export function shapeSlot(count: number, first: number, second: number): ShapeSlot {
  return slots[(count * 37 + first * 11 + second) & slotMask] as ShapeSlot
}

/** Counts a map that had not the slot's keys; true when its own are to be learned. */
export function missed(slot: ShapeSlot): boolean {
  return ++slot.misses >= missesToLearn
}

/** The map of the first `count` pairs of a shape, whose values stand in `values` from index `from` on. */
export function firstOf({ keys }: Shape, values: readonly unknown[], from: number, count: number): MsgpackMap {
  const map: MsgpackMap = {}
  for (let i = 0; i < count; i++) setPair(map, keys[i] ?? '', values[from + i])
  return map
}

/** Reads MessagePack. */
interface Cursor {
  readonly buffer: Buffer
  /** Index of the next value. */
  position: number
  /** The key of a map that comes next, as text. */
  key(): string
  /** Steps over the value that comes next. */
  skip(): void
}

/** Makes the slot know the keys of a map of `count` pairs that begin at `start`. The cursor stays where it is. */
export function learn(slot: ShapeSlot, cursor: Cursor, start: number, count: number): void {
  const end = cursor.position
  const keys: string[] = []
  const pieces: Buffer[] = []
  const ends = new Uint32Array(count)
  let length = 0
  cursor.position = start
  for (let i = 0; i < count; i++) {
    const keyStart = cursor.position
    keys.push(cursor.key())
    length += cursor.position - keyStart
    ends[i] = length
    pieces.push(cursor.buffer.subarray(keyStart, cursor.position))
    cursor.skip()
  }
  cursor.position = end
  slot.misses = 0
  // In a literal `__proto__` would be no key.
  if (length > maxShapeBytes || keys.includes('__proto__')) return
  const fields = keys.map((key, i) => `${JSON.stringify(key)}: values[from + ${i}]`)
  const build = new Function('values', 'from', `return { ${fields.join(', ')} }`) as Shape['build']
  slot.shape = { keys, bytes: new DataView(new Uint8Array(Buffer.concat(pieces)).buffer), ends, build }
}
