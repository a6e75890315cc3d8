// The alerts of a rule: which firings are told, under which id, and when an incident is over.
import { createHash } from 'node:crypto'
import { decodeMsgpack } from '../../protocol/msgpack-decoder.ts'
import { encodeMsgpack, type MsgpackWriter } from '../../protocol/msgpack-writer.ts'
import type { ActionContext, Emit } from '../action.ts'
import { cloneValue, copyWithout, type Event, type EventRecord, isPlainObject, setOwn } from '../event.ts'
import { isTime } from '../timeline.ts'
import { compileAlert } from './alert-text.ts'
import { DueHeap, justAfter } from './due-heap.ts'
import { type Key, keyValue } from './identity.ts'
import { savedMap, savedNumber } from './journal.ts'
import { none } from './keys.ts'
import type { RuleParams } from './params.ts'
import { nextSilence } from './realert.ts'
import type { RuleTable } from './table.ts'

export interface AlertBookOptions {
  params: RuleParams
  context: ActionContext
  /** Alerts have a status, and a last one says that it is over. */
  resolve: boolean
  /** Seconds without a firing after which it is over. Without it the rule says so itself, through `endsAt`. */
  resolveAfter?: number | undefined
}

export interface AlertBook {
  /**
   * The rule fires: the alert event, or undefined while the key is silent. Call it before the event that caused it is
   * emitted, because actions further down change that; emit the alert after it. `own` are the rule's own fields, in order.
   */
  fire(key: Key, time: number, own: EventRecord, cause?: Event): Event | undefined
  /** Whether an alert of the key was sent and is not resolved. Always false without `resolve`. */
  isOpen(key: Key): boolean
  /** An open incident of the key is over at this moment if nothing happens until then, at it included; Infinity: it goes on. */
  endsAt(key: Key, moment: number): void
  /** When `tick` is to be called: just after the first incident ends. */
  readonly due: number
  tick(now: number, emit: Emit): void
}

const never = Number.POSITIVE_INFINITY
const longAgo = Number.NEGATIVE_INFINITY

export function createAlertBook(table: RuleTable, options: AlertBookOptions): AlertBook {
  const { params, context, resolve, resolveAfter } = options
  const { pipeline, label } = context
  const { realert, exponential_realert: cap, attach, tag } = params
  const { keys } = table
  const fieldsOf = compileAlert(params.alert)
  const keepsSuppressed = Object.hasOwn(params.alert, 'suppressed')
  const showsKey = params.query_key !== undefined && !Object.hasOwn(params.alert, 'query_key')
  /** Time of the newest firing, how many there were at that very time, and how many that were older than another. */
  const fired = keys.float64(longAgo)
  const nth = keys.int32(0)
  const late = keys.int32(0)
  /** End of the silence, the power of two by which it is longer than `realert`, and firings in it that were not told. */
  const until = keys.float64(longAgo)
  const exponent = keys.int32(0)
  const suppressed = keys.float64(0)
  /** When the incident is over as far as is known. */
  const ends = keys.float64(never)
  const dues = new DueHeap(keys)
  /** Open incidents by slot: their id, and the record of the last alert, packed. */
  const open = new Map<number, { id: string; record: Uint8Array }>()
  /** What the log says of parameters that have changed. */
  const told = new Set<string>()

  table.remember({
    forget(slot) {
      dues.delete(slot)
      open.delete(slot)
    },
    write: writeSlot,
    read: readSlot,
  })

  function fire(key: Key, time: number, own: EventRecord, cause?: Event): Event | undefined {
    const slot = keys.see(key)
    const number = count(slot, time)
    const goesOn = resolve && resolveAfter !== undefined
    if (isTime(time) && time < at(until.data, slot)) {
      suppressed.data[slot] = at(suppressed.data, slot) + 1
      context.count('suppressed')
      if (goesOn && open.has(slot)) setEnd(slot, at(fired.data, slot) + resolveAfter)
      return undefined
    }
    // An id of an open incident stays until it is over.
    const id = open.get(slot)?.id ?? makeId(key, time, number)
    const record = recordOf(key, time, own, at(suppressed.data, slot), cause?.record)
    const metadata = metadataOf(id, key)
    if (attach && cause !== undefined) metadata.cause = cloneValue(cause.record)
    if (resolve) {
      const kept = keepsSuppressed ? record : copyWithout(record, new Set(['suppressed']))
      open.set(slot, { id, record: new Uint8Array(encodeMsgpack(kept)) })
    }
    suppressed.data[slot] = 0
    if (realert > 0 && isTime(time)) silence(slot, time)
    if (goesOn) setEnd(slot, at(fired.data, slot) + resolveAfter)
    context.count('alerts')
    return { tag, timestamp: time, record, metadata }
  }

  /** Which firing of the key this is: the same wherever a replay starts. */
  function count(slot: number, time: number): string {
    const newest = at(fired.data, slot)
    // Also a time that cannot be: if it counted as the newest, all others would be late.
    if (time < newest || !isTime(time)) {
      late.data[slot] = at(late.data, slot) + 1
      return `L${late.data[slot]}`
    }
    nth.data[slot] = time === newest ? at(nth.data, slot) + 1 : 1
    fired.data[slot] = time
    return String(nth.data[slot])
  }

  function silence(slot: number, time: number): void {
    const next = nextSilence({ realert, cap }, time, at(until.data, slot), at(exponent.data, slot))
    until.data[slot] = next.until
    exponent.data[slot] = next.exponent
  }

  function makeId(key: Key, time: number, number: string): string {
    const position = JSON.stringify([pipeline, label, typeof key, String(key), time, number])
    return createHash('sha256').update(position).digest('hex').slice(0, 32)
  }

  function recordOf(key: Key, time: number, own: EventRecord, untold: number, cause?: EventRecord): EventRecord {
    const computed: EventRecord = { timestamp: time, rule: label }
    if (params.query_key !== undefined) computed.query_key = keyValue(key)
    Object.assign(computed, own)
    if (untold > 0) computed.suppressed = untold
    if (resolve) computed.status = 'firing'
    return fieldsOf(computed, cause)
  }

  function metadataOf(id: string, key: Key): EventRecord {
    const metadata: EventRecord = { id, rule: label, pipeline }
    if (params.query_key !== undefined) metadata.query_key = keyValue(key)
    return metadata
  }

  function setEnd(slot: number, moment: number): void {
    if (at(ends.data, slot) === moment) return
    ends.data[slot] = moment
    dues.set(slot, justAfter(moment))
    table.touch(slot)
  }

  function resolved(slot: number): Event | undefined {
    const incident = open.get(slot)
    if (incident === undefined) return undefined
    const moment = at(ends.data, slot)
    open.delete(slot)
    setEnd(slot, never)
    const record = unpack(incident.record)
    // Packing has mended a text that is no valid Unicode; as a key it tells events apart.
    if (showsKey) record.query_key = keyValue(keys.keyAt(slot))
    setOwn(record, 'timestamp', moment)
    setOwn(record, 'status', 'resolved')
    context.count('resolved')
    return { tag, timestamp: moment, record, metadata: metadataOf(incident.id, keys.keyAt(slot)) }
  }

  function writeSlot(slot: number, writer: MsgpackWriter): void {
    const incident = open.get(slot)
    writer.mapHeader(incident === undefined ? 6 : 9)
    writer.str('fired').number(at(fired.data, slot))
    writer.str('nth').number(at(nth.data, slot))
    writer.str('late').number(at(late.data, slot))
    writer.str('until').number(at(until.data, slot))
    writer.str('exponent').number(at(exponent.data, slot))
    writer.str('suppressed').number(at(suppressed.data, slot))
    if (incident === undefined) return
    writer.str('id').str(incident.id)
    writer.str('ends').number(at(ends.data, slot))
    writer.str('record').raw(incident.record)
  }

  function readSlot(slot: number, value: unknown): void {
    const saved = savedMap(value)
    fired.data[slot] = savedNumber(saved.fired)
    nth.data[slot] = savedNumber(saved.nth)
    late.data[slot] = savedNumber(saved.late)
    restoreSilence(slot, savedNumber(saved.until))
    exponent.data[slot] = savedNumber(saved.exponent)
    suppressed.data[slot] = savedNumber(saved.suppressed)
    if (saved.id === undefined) return
    if (!resolve) {
      tellOnce('incidents that were open are not resolved, because `resolve` is not set any more')
      return
    }
    open.set(slot, { id: String(saved.id), record: new Uint8Array(encodeMsgpack(savedMap(saved.record))) })
    setEnd(slot, resolveAfter === undefined ? savedNumber(saved.ends) : at(fired.data, slot) + resolveAfter)
  }

  /** Silence that is longer than it could be now was begun under a longer `realert`. */
  function restoreSilence(slot: number, end: number): void {
    const longest = at(fired.data, slot) + Math.max(realert, cap ?? 0)
    until.data[slot] = Math.min(end, longest)
    if (longest < end)
      tellOnce('the silence after alerts is shorter than it was: keys that are silent are so for less long')
  }

  function tellOnce(message: string): void {
    if (!told.has(message)) context.log.info(message)
    told.add(message)
  }

  return {
    fire,
    isOpen: (key) => open.has(keys.find(key)),
    endsAt(key, moment) {
      const slot = keys.find(key)
      if (slot !== none && open.has(slot)) setEnd(slot, moment)
    },
    get due() {
      return dues.next
    },
    tick(now, emit) {
      while (dues.next <= now) {
        // In an order that a restart does not change.
        const slots = dues.take().sort((a, b) => keys.sightAt(a) - keys.sightAt(b))
        for (const slot of slots) {
          const event = resolved(slot)
          if (event !== undefined) emit(event)
        }
      }
    },
  }
}

function at(column: Float64Array | Int32Array, slot: number): number {
  return column[slot] ?? 0
}

function unpack(bytes: Uint8Array): EventRecord {
  const record = decodeMsgpack(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length), { maxDepth: 512 })
  return isPlainObject(record) ? record : {}
}
