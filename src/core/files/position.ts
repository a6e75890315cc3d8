// Where reading of a file stands, as it is stored and read back.
import type { FileHandle } from 'node:fs/promises'
import { z } from 'zod'
import type { Json } from '../action.ts'
import { readRange } from './rotation.ts'
import type { TextEncoding } from './text-encoding.ts'

const print = z.object({ length: z.int().min(0), hash: z.string() })
const stored = z.object({
  path: z.string(),
  key: z.string(),
  offset: z.int().min(0),
  head: print,
  before: print,
  /** Reading stands inside a line that is too long. */
  skip: z.boolean().default(false),
  /** Size and time of change of a compressed file that was read to its end. */
  done: z.string().default(''),
})

export type FilePosition = z.output<typeof stored>

/** A stored position, or undefined when it is of no known form. */
export function readPosition(json: Json): FilePosition | undefined {
  return stored.safeParse(json).data
}

/** The offset behind the last newline among the last `maxLine` bytes; inside a longer line, the end, and `skip`. */
export async function lastLineEnd(
  handle: FileHandle,
  size: number,
  { unit, newline }: TextEncoding,
  maxLine: number,
): Promise<{ offset: number; skip: boolean }> {
  const end = size - (size % unit)
  const wanted = Math.max(0, end - maxLine)
  const from = wanted - (wanted % unit)
  const bytes = await readRange(handle, from, end)
  let at = bytes.lastIndexOf(newline)
  while (at > 0 && at % unit !== 0) at = bytes.lastIndexOf(newline, at - 1)
  if (at !== -1) return { offset: from + at + unit, skip: false }
  return from === 0 ? { offset: 0, skip: false } : { offset: end, skip: true }
}
