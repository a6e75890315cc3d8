// What the floors of forward have in common: a server that makes records of what a Fluent Bit sends by default.
import { createServer } from 'node:net'

/**
 * Calls `take` with the records of every read, and `done` when all connections have come and ended. Nothing is checked:
 * not the lengths, not the time, not whether a request comes whole.
 */
export function receive(port, connections, take, done) {
  let left = connections
  const server = createServer((socket) => {
    const decode = createDecoder()
    socket.on('data', (bytes) => take(decode(bytes)))
    socket.on('close', () => {
      if (--left > 0) return
      server.close()
      done()
    })
  })
  server.listen(port, '127.0.0.1', connections)
}

/** Takes the bytes of one connection as they come; gives the records that have come whole. */
function createDecoder() {
  let rest
  let left = 0
  return (chunk) => {
    bytes = rest === undefined ? chunk : Buffer.concat([rest, chunk])
    at = 0
    const records = []
    let whole = 0
    for (;;) {
      if (left === 0) {
        // [tag, [
        at++
        value()
        left = arrayLength()
      } else {
        // [[time, metadata], record]
        at += 2
        value()
        value()
        const record = value()
        if (at > bytes.length) break
        records.push(record)
        left--
      }
      if (at > bytes.length) {
        left = 0
        break
      }
      whole = at
      if (whole === bytes.length) break
    }
    rest = whole === bytes.length ? undefined : bytes.subarray(whole)
    return records
  }
}

let bytes = Buffer.alloc(0)
let at = 0

/** The next value; what lies behind the end of the bytes is anything. */
function value() {
  const byte = bytes[at++]
  if (byte < 0x80) return byte
  if (byte < 0x90) return map(byte & 0x0f)
  if (byte < 0xa0) return array(byte & 0x0f)
  if (byte < 0xc0) return text(byte & 0x1f)
  if (byte >= 0xe0) return byte - 0x100
  switch (byte) {
    case 0xc2:
      return false
    case 0xc3:
      return true
    case 0xcb:
      at += 8
      return at > bytes.length ? 0 : bytes.readDoubleBE(at - 8)
    case 0xcc:
      return bytes[at++]
    case 0xcd:
      at += 2
      return at > bytes.length ? 0 : bytes.readUInt16BE(at - 2)
    case 0xce:
      return uint32()
    case 0xd7: {
      at++
      const seconds = uint32()
      return seconds + uint32() / 1e9
    }
    case 0xd9:
      return text(bytes[at++] ?? 0)
    case 0xdf:
      return map(uint32())
    default:
      return null
  }
}

function uint32() {
  at += 4
  return at > bytes.length ? 0 : bytes.readUInt32BE(at - 4)
}

function arrayLength() {
  const byte = bytes[at++]
  if (byte < 0xa0) return byte & 0x0f
  if (byte === 0xdd) return uint32()
  at += 2
  return at > bytes.length ? 0 : bytes.readUInt16BE(at - 2)
}

function map(count) {
  const record = {}
  for (let i = 0; i < count; i++) {
    const key = keyText(bytes[at++] & 0x1f)
    record[key] = value()
  }
  return record
}

function array(count) {
  const items = []
  for (let i = 0; i < count; i++) items.push(value())
  return items
}

function text(length) {
  at += length
  return at > bytes.length ? '' : bytes.utf8Slice(at - length, at)
}

/** The keys seen so far, by length: they are few, and come again and again. */
const keys = Array.from({ length: 32 }, () => [])

function keyText(length) {
  const start = at
  at += length
  for (const { key, codes } of keys[length]) {
    let i = 0
    while (i < length && codes[i] === bytes[start + i]) i++
    if (i === length) return key
  }
  const codes = Buffer.from(bytes.subarray(start, at))
  const key = codes.toString()
  if (at <= bytes.length) keys[length].push({ key, codes })
  return key
}
