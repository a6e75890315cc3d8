// Sends requests of the forward protocol, 64 KiB a write, and ends when the receiver has closed every connection.
// Arguments: the port, the file of requests, the file with the end of each, connections.
import { once } from 'node:events'
import { openSync, readFileSync, readSync } from 'node:fs'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

const [port, file, frames, connections] = process.argv.slice(2)
const pieceBytes = 64 * 1024
const source = openSync(file, 'r')
const ends = JSON.parse(readFileSync(frames, 'utf8'))

// The first one waits until the receiver listens.
const sockets = [await open(true)]
while (sockets.length < Number(connections)) sockets.push(await open(false))
await Promise.all(sockets.map(send))

async function open(mayWait) {
  for (;;) {
    const socket = connect(Number(port), '127.0.0.1')
    try {
      await once(socket, 'connect')
      return socket
    } catch (error) {
      if (!mayWait || error.code !== 'ECONNREFUSED') throw error
      await sleep(10)
    }
  }
}

/** Sends every request whose turn it is, one after another, in pieces that do not care where a request ends. */
async function send(socket, index) {
  const closed = once(socket, 'close')
  socket.resume()
  for (const piece of pieces(index)) await new Promise((done) => socket.write(piece, done))
  socket.end()
  await closed
}

function* pieces(index) {
  let piece = Buffer.allocUnsafe(pieceBytes)
  let length = 0
  for (let frame = index; frame < ends.length; frame += sockets.length) {
    let at = frame === 0 ? 0 : ends[frame - 1]
    while (at < ends[frame]) {
      const read = readSync(source, piece, length, Math.min(pieceBytes - length, ends[frame] - at), at)
      at += read
      length += read
      if (length < pieceBytes) continue
      yield piece
      piece = Buffer.allocUnsafe(pieceBytes)
      length = 0
    }
  }
  if (length > 0) yield piece.subarray(0, length)
}
