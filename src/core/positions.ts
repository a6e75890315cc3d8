// Where the inputs of a pipeline stand, as of its last commit.
import { createHash } from 'node:crypto'
import type { Json } from './action.ts'
import type { ActionConfig } from './config/types.ts'
import type { KnownAction, Takeover } from './takeover.ts'

/** By the input's name in the pipeline, then by the input's own keys. */
export type Positions = ReadonlyMap<string, ReadonlyMap<string, Json>>

export class PositionStore {
  readonly #inputs = new Map<string, Map<string, Json>>()
  readonly #places = new Map<string, string>()
  #last: readonly KnownAction[] = []

  all(): Positions {
    return this.#inputs
  }

  /** The inputs and outputs of the configuration that was last made for these positions. */
  get last(): readonly KnownAction[] {
    return this.#last
  }

  /** The inputs that have positions, with their places, as far as they are known. */
  saved(): ReadonlyMap<string, string> {
    const known = [...this.#inputs].filter(([, positions]) => positions.size > 0)
    return new Map(known.map(([input]) => [input, this.#places.get(input) ?? '']))
  }

  /** Gives to each input what it goes on from. */
  take({ listed, adopted }: Takeover): void {
    for (const { from, to } of adopted) {
      this.#inputs.set(to, this.#inputs.get(from) ?? new Map<string, Json>())
      this.#inputs.delete(from)
    }
    this.#last = listed
    for (const { key, place } of listed) this.#places.set(key, place)
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

/** What to say of events that wait for an action that the pipeline has no more. `place` is empty when it is not known. */
export function orphaned(action: string, place: string): string {
  const isByPlace = /\/@[\w-]+(?:\/\d+)?$/.test(action)
  const name = isByPlace ? 'name and place' : 'name and label'
  const back = action === deadLettersKey ? 'set dead_letters again' : `give an output this ${name} again`
  const who = place === '' ? action : `${action} (${place})`
  return `wait for ${who}, which the pipeline does not have any more: ${back}, or take them out with \`feedoo state export\``
}

/** What the keys of all actions of one name and label begin with. */
export function stemOf(action: ActionConfig | undefined): string {
  return `${action?.name}/${action?.label}/`
}

/** A label may hold anything: what follows the stem must be what `actionKey` puts there. */
export function isOfStem(key: string, stem: string): boolean {
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
