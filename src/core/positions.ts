// Where the inputs of a pipeline stand, as of its last commit.
import { createHash } from 'node:crypto'
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

/** What the dead letters are called in the state. */
export const deadLettersKey = 'dead_letters'
/**
 * The parameters that say where an input reads or an output writes. What changes beside them is the same input still, and
 * what has others is another one, wherever it stands.
 */
const placeParams: readonly string[] = [
  ...['path', 'path_pattern', 'path_template', 'watch_path', 'filename', 'folder'],
  ...['host', 'hosts', 'ip', 'address', 'port', 'unix_path', 'url', 'topic'],
  ...['database', 'table'],
]
/** Characters of a hash: enough to tell the actions of a pipeline apart. */
const hashLength = 10

/**
 * What an action is called in what is saved of its pipeline. By its name and label, and, for an input or output without a
 * label, by where it reads or writes: it stays the same when actions are added, taken away or moved, so that it goes on
 * where it was. Among equal ones, and for other actions, by their order.
 */
export function actionKey(actions: readonly ActionConfig[], place: number): string {
  const action = actions[place]
  if (action === undefined) return ''
  const stem = stemOf(action)
  const hash = placeHash(action)
  const same = actions.slice(0, place).filter((other) => stemOf(other) === stem && placeHash(other) === hash)
  const ordinal = same.length + 1
  if (hash === undefined) return `${stem}${ordinal}`
  return ordinal === 1 ? `${stem}@${hash}` : `${stem}@${hash}/${ordinal}`
}

/**
 * Which of the `known` keys an action takes over, by its own: where one input or output of a name is new and one is
 * missing, its parameters have changed, and it goes on where it was. Of more than one of a name it cannot be known.
 */
export function adoptions(actions: readonly ActionConfig[], known: ReadonlySet<string>): Map<string, string> {
  const keys = actions.map((_, place) => actionKey(actions, place))
  const adopted = new Map<string, string>()
  for (const stem of new Set(actions.filter(isByPlace).map(stemOf))) {
    const mine = keys.filter((_, place) => stemOf(actions[place]) === stem)
    let missing = [...known].filter((key) => isOfStem(key, stem) && !keys.includes(key))
    // Until the first version they went by their order.
    for (const [index, key] of mine.entries()) {
      const old = `${stem}${index + 1}`
      if (!known.has(key) && missing.includes(old)) adopted.set(old, key)
    }
    missing = missing.filter((key) => !adopted.has(key))
    const fresh = mine.filter((key) => !known.has(key) && ![...adopted.values()].includes(key))
    const [from] = missing
    const [to] = fresh
    if (from !== undefined && to !== undefined && missing.length === 1 && fresh.length === 1) adopted.set(from, to)
  }
  return adopted
}

/** What is known in memory, by the keys of a configuration that may have changed. */
export function adoptPositions(actions: readonly ActionConfig[], positions: Positions): Positions {
  const adopted = adoptions(actions, new Set(positions.keys()))
  return new Map([...positions].map(([key, value]) => [adopted.get(key) ?? key, value]))
}

/** What to say of events that wait for an action that the pipeline has no more. */
export function orphaned(action: string): string {
  const back = action === deadLettersKey ? 'set dead_letters again' : 'give an output this name and label again'
  return `wait for ${action}, which the pipeline does not have any more: ${back}, or take them out with \`feedoo state export\``
}

function stemOf(action: ActionConfig | undefined): string {
  return `${action?.name}/${action?.label}/`
}

/** A label may hold anything: what follows the stem must be what `actionKey` puts there. */
function isOfStem(key: string, stem: string): boolean {
  return key.startsWith(stem) && /^(?:\d+|@[\w-]+(?:\/\d+)?)$/.test(key.slice(stem.length))
}

function isByPlace({ name, label }: ActionConfig): boolean {
  return label === name && /^(?:in|out)put_/.test(name)
}

function placeHash(action: ActionConfig): string | undefined {
  const { params } = action
  if (!isByPlace(action)) return undefined
  const where = placeParams.flatMap((param) => (params[param] === undefined ? [] : [[param, params[param]]]))
  if (where.length === 0) return undefined
  return createHash('sha256').update(JSON.stringify(where)).digest('base64url').slice(0, hashLength)
}
