// What a case is: the pipeline it runs, the data it reads, the floor it is compared with, and what it may cost.
import type { DataKind } from './data.ts'

export interface BenchCase {
  name: string
  data: DataKind
  /** The script in bench/floor that does the same work by hand. */
  floor: string
  /** CPU seconds per million events that Fluent Bit 5.1 spends on this work, on a machine with two cores, if measured. */
  fluentBit?: number | undefined
  /** What the engine's CPU may be: a multiple of its floor's or of another case's engine, or seconds a million over the latter. */
  limit: { of: 'floor' | string; ratio: number } | { of: string; adds: number }
  /** Connections that send the data; they share it, request by request. Without it, the work reads the file itself. */
  connections?: number
  /** Peak resident memory in MB, where it may pass what other cases may use. */
  memoryLimitMB?: number
  /** True when nothing is written: then events are counted. */
  writesNothing?: boolean
  /** The configuration, reading the file (or, with `connections`, listening on the port) `input`, writing `output`. */
  yaml(input: string, output: string): string
}

/** Peak resident memory in MB that no case may pass unless it says so, whatever the number of lines. */
export const defaultMemoryLimitMB = 200
