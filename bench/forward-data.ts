// Traffic of a Fluent Bit 5.1 that follows an application's JSON log: byte for byte the headers that it sends by default.
import { closeSync, openSync, writeSync } from 'node:fs'
import { EventTime } from '../src/protocol/event-time.ts'
import { MsgpackWriter } from '../src/protocol/msgpack-writer.ts'
import { hex, int, levels, messages, pick, type Random, seeded, users, words } from './random.ts'

/*
 * request = [tag, [entry*]]              in a fixarray, str and array 16
 * entry   = [[EventTime, {}], record]    in fixarrays, fixext 8; the empty map and the record in map 32
 */

/** Events of one request. */
const frameEvents = 2000
/** Unix seconds of the first event. */
const firstTime = 1_700_000_000
const emptyMap = Buffer.from('df00000000', 'hex')

/** Writes requests that hold so many events in all. Returns where each request ends, in bytes. */
export function writeForward(path: string, events: number): number[] {
  const random = seeded(3)
  const ends: number[] = []
  const file = openSync(path, 'w')
  let written = 0
  try {
    for (let start = 0; start < events; start += frameEvents) {
      const count = Math.min(frameEvents, events - start)
      const writer = new MsgpackWriter(1 << 20).arrayHeader(2).str('app.log').arrayHeader(count)
      for (let i = start; i < start + count; i++) writeEntry(writer, i, random)
      written += writeSync(file, writer.take())
      ends.push(written)
    }
  } finally {
    closeSync(file)
  }
  return ends
}

/** Where the ends of a file's requests are kept. */
export function framesFile(path: string): string {
  return `${path}.frames`
}

/** About 230 bytes: nine fields, one of them a map. */
function writeEntry(writer: MsgpackWriter, index: number, random: Random): void {
  const time = new EventTime(firstTime + Math.floor(index / 50), (index % 50) * 20_000_000 + int(random, 0, 9_999_999))
  writer.arrayHeader(2).arrayHeader(2).value(time).raw(emptyMap)
  // One in a thousand is not ASCII.
  const message = `${pick(random, messages)} ${int(random, 1, 1_000_000)}${random() < 0.001 ? ' (größer als erwartet)' : ''}`
  writer.raw(Buffer.of(0xdf, 0, 0, 0, 9))
  writer.str('hostname').str(`web-${int(random, 1, 40)}.example.org`)
  writer.str('level').str(pick(random, levels))
  writer.str('service').str(pick(random, words))
  writer.str('message').str(message)
  writer.str('duration_ms').value(int(random, 0, 900_000) / 1000)
  writer.str('ok').value(random() < 0.97)
  writer.str('user').value({ id: int(random, 1, 50_000), name: pick(random, users) })
  writer.str('path').str(`/${pick(random, words)}/${pick(random, words)}/${int(random, 1, 9999)}`)
  writer.str('trace').str(hex(random, 32))
}
