// Where the inputs of a pipeline stand, as of its last commit.
import type { Json } from './action.ts'
import type { ActionConfig } from './config/types.ts'

/** By the input's name in the pipeline, then by the input's own keys. */
export type Positions = ReadonlyMap<string, ReadonlyMap<string, Json>>

export class PositionStore {
  readonly #inputs = new Map<string, Map<string, Json>>()

  all(): Positions {
    return this.#inputs
  }

  /** Takes over what one input has committed; null forgets a key. */
  save(input: string, changes: ReadonlyMap<string, Json>): void {
    const positions = this.#inputs.get(input) ?? new Map<string, Json>()
    for (const [key, value] of changes) {
      if (value === null) positions.delete(key)
      else positions.set(key, value)
    }
    this.#inputs.set(input, positions)
  }
}

/**
 * What an action is called in what is saved of its pipeline: its name and label, and which of those it is when there
 * are several. It stays the same when actions are added or its parameters change, so that it goes on where it was.
 */
export function actionKey(actions: readonly ActionConfig[], place: number): string {
  const same = (action: ActionConfig | undefined) =>
    action?.name === actions[place]?.name && action?.label === actions[place]?.label
  const ordinal = actions.slice(0, place).filter(same).length + 1
  return `${actions[place]?.name}/${actions[place]?.label}/${ordinal}`
}
