// The forward protocol's heartbeat: a UDP datagram on the receiver's port, which it answers.
import { createSocket } from 'node:dgram'
import { lookup } from 'node:dns/promises'

/** True when the receiver answers within `timeout` milliseconds. Never rejects: whatever goes wrong is no answer. */
export async function answersHeartbeat(host: string, port: number, timeout: number): Promise<boolean> {
  try {
    const { address, family } = await lookup(host)
    return await beat(address, family, port, timeout)
  } catch {
    return false
  }
}

function beat(address: string, family: number, port: number, timeout: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createSocket(family === 6 ? 'udp6' : 'udp4')
    const timer = setTimeout(() => settle(false), timeout)
    function settle(answered: boolean): void {
      clearTimeout(timer)
      socket.removeAllListeners().on('error', () => {})
      socket.close()
      resolve(answered)
    }
    socket.on('error', () => settle(false))
    socket.on('message', () => settle(true))
    // Connected, so that only this receiver's datagrams come in, and its refusal as an error.
    socket.connect(port, address, () => socket.send(Buffer.alloc(1)))
  })
}
