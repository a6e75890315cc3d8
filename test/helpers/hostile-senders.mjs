// A process of hostile senders, for tests: `node hostile-senders.mjs <port> <connections>`, until it is killed.
import { connect } from 'node:net'
import { gzipSync } from 'node:zlib'

const port = Number(process.argv[2])
const count = Number(process.argv[3])
const ignore = () => {}
// Each kind comes from an address of its own, so that the limit of one does not shield from the others.
const open = (localAddress) => connect({ port, host: '127.0.0.1', localAddress }).on('error', ignore).resume()

// A request whose entries are zeros: 1 to 1000.
const zeros = gzipSync(Buffer.alloc(64 * 1024 * 1024))
const head = Buffer.from([0x92, 0xa1, 0x61, 0xc6, 0, 0, 0, 0])
head.writeUInt32BE(zeros.length, 4)
const bomb = Buffer.concat([head, zeros])

/** One that says nothing, and comes again five seconds after it is closed. */
function stay() {
  open('127.0.0.2').on('close', () => setTimeout(stay, 5000))
}
let opened = 0
function silent() {
  for (let i = 0; i < 100 && opened < count; i++, opened++) stay()
  if (opened < count) setImmediate(silent)
  else process.stdout.write('opened\n')
}
silent()
setInterval(() => open('127.0.0.3').end(bomb), 250)
const slow = open('127.0.0.4')
setInterval(() => slow.write(Buffer.of(0x93)), 1000)
