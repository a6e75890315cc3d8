// Opens state files for tests, and makes the changes that are saved in them.
import { systemClock } from '../../../src/core/clock.ts'
import type { StateChange } from '../../../src/core/state/pipeline-state.ts'
import { StateFile, type StateFileOptions } from '../../../src/core/state/state-file.ts'
import { silent } from '../../helpers/run-pipeline.ts'

export function openFile(path: string, options: Partial<StateFileOptions> = {}): Promise<StateFile> {
  return StateFile.open(path, {
    pipeline: 'p',
    durability: 'system',
    instance: 'this',
    log: silent,
    clock: systemClock,
    ...options,
  })
}

export const nothing: StateChange = {
  memories: [],
  marks: new Map(),
  positions: new Map(),
  timelines: new Map(),
  buffers: [],
}

/** A change of one memory. */
export function remember(action: string, text: string, { keep = 1, format = 'text' } = {}): StateChange {
  return { ...nothing, memories: [{ action, format, segment: Buffer.from(text), keep }] }
}

/** The segments of a memory as texts. */
export function recall(file: StateFile, action: string, format = 'text'): string[] {
  return file.memory(action, format).map((segment) => Buffer.from(segment).toString())
}
