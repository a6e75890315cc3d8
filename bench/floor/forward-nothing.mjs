// The floor of forward-nothing: the same work by hand. Arguments: the port, (no file), connections.
import { receive } from './forward-decode.mjs'

const [port, , connections] = process.argv.slice(2)
let events = 0

receive(
  Number(port),
  Number(connections),
  (records) => {
    events += records.length
  },
  () => console.error(`done: ${events} events`),
)
