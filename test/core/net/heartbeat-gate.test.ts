import { describe, expect, it } from 'vitest'
import { createHeartbeatGate } from '../../../src/core/net/heartbeat-gate.ts'

describe('a heartbeat', () => {
  it.each([
    ['port 0', 0, false],
    ['the port of a service', 1023, false],
    ['the first free port', 1024, true],
    ['our own port', 24224, false],
    ['the port beside ours', 24225, true],
  ])('from %s: %i is answered: %s', (_, port, isAnswered) => {
    expect(createHeartbeatGate(24224).mayAnswer('10.0.0.1', port, 0)).toBe(isAnswered)
  })

  it('is answered 100 times a second at each address, whatever the port', () => {
    const gate = createHeartbeatGate(24224)
    const burst = (address: string, now: number) => {
      let answered = 0
      for (let i = 0; i < 300; i++) if (gate.mayAnswer(address, 2000 + i, now)) answered++
      return answered
    }
    expect([burst('10.0.0.1', 5), burst('10.0.0.1', 1004), burst('10.0.0.2', 1004)]).toEqual([100, 0, 100])
    expect(burst('10.0.0.1', 1005)).toBe(100)
  })

  it('makes no more addresses be remembered than 10,000 a second', () => {
    const gate = createHeartbeatGate(24224)
    const address = (i: number) => `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`
    let answered = 0
    for (let i = 0; i < 20_000; i++) if (gate.mayAnswer(address(i), 5000, 0)) answered++
    expect(answered).toBe(10_000)
    expect(gate.mayAnswer(address(1), 5000, 0)).toBe(true)
    expect(gate.mayAnswer(address(15_000), 5000, 1000)).toBe(true)
  })
})
