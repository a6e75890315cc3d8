// What the parsers share: where the text is read from, where the result goes, what happens to text they cannot read.
import { z } from 'zod'
import type { ActionContext, Emit, Filter } from './action.ts'
import { FeedooError } from './errors.ts'
import { assignOwn, type Event, type EventRecord, setOwn } from './event.ts'
import { compileField } from './field.ts'
import { createFail, type OnError, onErrorParam } from './on-error.ts'
import { fieldParam, matchParam, noStateParam } from './params.ts'

export const parserParams = {
  match: matchParam,
  key: fieldParam.default('log').describe('The field that holds the text; a dotted path.'),
  mode: z
    .enum(['merge', 'add', 'tree'])
    .default('merge')
    .describe(
      'Where the result goes. `merge`: its fields take the place of `key`. `add`: its fields come beside `key`. `tree`: it becomes the value of `key`. With `merge` and `add` its fields stand at the top of the record and overwrite fields of the same name.',
    ),
  on_error: onErrorParam.describe(
    'What happens to an event whose text cannot be parsed. It is counted; `keep` passes it on untouched, `drop` throws it away, `dead_letter` sets it aside with the reason.',
  ),
  db_path: noStateParam,
} as const

export interface PlaceParams {
  key: string
  mode: 'merge' | 'add' | 'tree'
  on_error: OnError
}

/** Why a text could not be parsed. */
export class Unparsed {
  readonly reason: string

  constructor(reason: string) {
    this.reason = reason
  }
}

/** Takes a text apart. The object it returns must be new: it becomes part of the event. */
export type Parse<Result> = (text: string) => Result | Unparsed

/** A parser for `merge` and `add` must give an object; for `tree` any value will do. */
export type Parsers = { object: Parse<EventRecord>; any: Parse<unknown> }

/** The `apply` of a parser. */
export function applyParsed({ key, mode, on_error }: PlaceParams, parsers: Parsers, context: ActionContext): Filter {
  const field = compileField(key)
  const put = { merge: mergeAt(key), add: addAt, tree: undefined }[mode]
  const parseObject = parsers.object
  const parseAny = parsers.any

  const fail = createFail(on_error, context)
  const unparsed = (_: Event, reason: string) => new FeedooError('PARSE_FAILED', `${key}: ${reason}`)
  const missing = () => new FeedooError('FIELD_MISSING', `${key}: the event has no such field`)
  const failValue = (event: Event, emit: Emit, value: unknown): void =>
    value === undefined ? fail(event, emit, missing) : fail(event, emit, unparsed, 'the value is not text')

  if (put === undefined) {
    return {
      apply(event, emit) {
        const value = field.get(event.record)
        if (typeof value !== 'string') return failValue(event, emit, value)
        const result = parseAny(value)
        if (result instanceof Unparsed) return fail(event, emit, unparsed, result.reason)
        field.set(event.record, result)
        emit(event)
      },
    }
  }
  return {
    apply(event, emit) {
      const value = field.get(event.record)
      if (typeof value !== 'string') return failValue(event, emit, value)
      const result = parseObject(value)
      if (result instanceof Unparsed) return fail(event, emit, unparsed, result.reason)
      event.record = put(event.record, result)
      emit(event)
    },
  }
}

type Put = (record: EventRecord, result: EventRecord) => EventRecord

const addAt: Put = assignOwn

function mergeAt(key: string): Put {
  const field = compileField(key)
  const nested = key.includes('.')
  return (record, result) => {
    if (nested) {
      field.remove(record)
      return assignOwn(record, result)
    }
    // A copy without the key: see copyWithout. A record of nothing but the text, as inputs make them, needs none.
    let others: EventRecord | undefined
    for (const name in record) {
      if (name === key) continue
      others ??= {}
      setOwn(others, name, record[name])
    }
    return others === undefined ? result : assignOwn(others, result)
  }
}
