// Which of what is saved an input or output goes on from, when the configuration of its pipeline has changed.
import type { ActionConfig } from './config/types.ts'
import { isPlainObject } from './event.ts'
import type { Logger } from './log.ts'
import { actionKey, isOfStem, stemOf } from './positions.ts'

/** An input or output, as a configuration has it. */
export interface KnownAction {
  readonly key: string
  /** Where it reads or writes, for people. */
  readonly place: string
  /** Which tags it takes, as JSON. */
  readonly match: string
}

export interface Adoption {
  readonly from: string
  readonly to: string
  /** Whether the events that wait for it go with the rest: only what would have come to it anyway may. */
  readonly withEvents: boolean
}

export interface Takeover {
  /** All inputs and outputs of the configuration. */
  readonly listed: readonly KnownAction[]
  readonly adopted: readonly Adoption[]
  /** What begins afresh, and the places of what is saved of its name for others. */
  readonly afresh: readonly { readonly key: string; readonly beside: readonly string[] }[]
}

/**
 * `last` is what the configuration before had, `saved` are the keys that something is saved of, with their places as far
 * as they are known. Where one input or output of a name and label is new and one is missing, its parameters have changed,
 * and it goes on where it was. Of more than one it cannot be known.
 */
export function takeOver(
  actions: readonly ActionConfig[],
  last: readonly KnownAction[],
  saved: ReadonlyMap<string, string>,
): Takeover {
  const listed = actions.flatMap((action, place) => {
    const known = { key: actionKey(actions, place), place: placeText(action), match: matchText(action) }
    return isEnd(action) ? [{ ...known, stem: stemOf(action), name: action.name }] : []
  })
  const mine = new Set(listed.map(({ key }) => key))
  const before = new Set(last.map(({ key }) => key))
  const missing = last.filter(({ key }) => !mine.has(key))
  const fresh = listed.filter(({ key }) => !saved.has(key) && !before.has(key))
  const adopted = fresh.flatMap(({ key, stem, match }) => {
    const [from, ...others] = missing.filter((one) => isOfStem(one.key, stem))
    const isOnly = others.length === 0 && fresh.filter((one) => one.stem === stem).length === 1
    if (from === undefined || !isOnly || !saved.has(from.key)) return []
    return [{ from: from.key, to: key, withEvents: from.match === match }]
  })
  const left = [...saved].filter(([key]) => !mine.has(key) && !adopted.some(({ from }) => from === key))
  const afresh = fresh.flatMap(({ key, name }) => {
    const beside = left.filter(([one]) => one.startsWith(`${name}/`)).map(([one, place]) => place || one)
    return beside.length === 0 || adopted.some(({ to }) => to === key) ? [] : [{ key, beside }]
  })
  return { listed: listed.map(({ key, place, match }) => ({ key, place, match })), adopted, afresh }
}

/** `isHere` says whether what is saved of an action is in the state that this is about. */
export function tellTakeover(takeover: Takeover, log: Logger, isHere: (key: string) => boolean = () => true): void {
  for (const { from, to, withEvents } of takeover.adopted) {
    if (!isHere(to)) continue
    const but = withEvents ? '' : ', but for events that wait: they were for another `match`'
    log.info({ action: to, before: from }, `the action has other parameters now: it goes on where it was${but}`)
  }
  for (const { key, beside } of takeover.afresh) {
    if (!isHere(key)) continue
    log.warn(
      { action: key, saved: beside },
      `${key} begins afresh: there is something saved under its name, of ${beside.join(', ')}, but whether it was that cannot be told`,
    )
  }
}

const hostParams: readonly string[] = ['host', 'hosts', 'ip', 'address', 'url']
const pathParams: readonly string[] = [
  ...['path', 'path_pattern', 'path_template', 'watch_path', 'filename', 'folder', 'unix_path'],
  ...['topic', 'database', 'table'],
]
/** Characters of a place that are saved. */
const placeLength = 200

/** Where an input or output reads or writes, without what may be secret: no user, password or path of a URL. */
export function placeText({ params }: ActionConfig): string {
  const hosts = hostParams.flatMap((param) => texts(params[param]).map(hostOf))
  const port = texts(params.port).map((text) => `:${text}`)
  const address = `${hosts.join(',')}${port.join('')}`
  return [...(address === '' ? [] : [address]), ...pathParams.flatMap((param) => texts(params[param]))]
    .join(' ')
    .slice(0, placeLength)
}

function texts(value: unknown): string[] {
  if (typeof value === 'string' || typeof value === 'number') return [String(value)]
  if (Array.isArray(value)) return value.flatMap(texts)
  if (!isPlainObject(value)) return []
  return texts(value.host).map((host) => [host, ...texts(value.port)].join(':'))
}

function hostOf(text: string): string {
  const [, scheme = '', rest = text] = /^([a-z][a-z0-9+.-]*:\/\/)(.*)$/is.exec(text) ?? []
  const authority = scheme === '' ? rest : rest.replace(/[/?#].*$/s, '')
  return scheme + authority.replace(/^.*@/s, '')
}

function matchText({ params }: ActionConfig): string {
  return JSON.stringify(params.match ?? '*')
}

function isEnd({ name }: ActionConfig): boolean {
  return /^(?:in|out)put_/.test(name)
}
