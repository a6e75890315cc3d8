import { expect, test } from 'vitest'
import { createCircuit } from '../../../src/core/dns/circuit.ts'

test('a circuit opens after failures in a row, lets a probe through now and then, and closes with an answer', () => {
  const circuit = createCircuit(3, 30)
  expect([circuit.failed(0), circuit.failed(0), circuit.answered()]).toEqual([false, false, false])
  expect([circuit.failed(1), circuit.failed(2), circuit.next(2)]).toEqual([false, false, 'ask'])
  expect(circuit.failed(3)).toBe(true)
  // Questions that were on their way say nothing new.
  expect([circuit.failed(4), circuit.failed(5), circuit.failed(6)]).toEqual([false, false, false])
  expect([3, 32.9, 33, 33, 62.9, 63].map(circuit.next)).toEqual(['skip', 'skip', 'probe', 'skip', 'skip', 'probe'])
  expect([circuit.failed(64), circuit.next(64)]).toEqual([false, 'skip'])
  expect([circuit.answered(), circuit.next(64), circuit.answered()]).toEqual([true, 'ask', false])
  expect([circuit.failed(65), circuit.failed(65), circuit.failed(65)]).toEqual([false, false, true])
})

test('a clock that is set back does not keep a list out', () => {
  const circuit = createCircuit(1, 30)
  circuit.failed(1_000_000)
  expect([circuit.next(1_000_001), circuit.next(1000), circuit.next(1001), circuit.next(1030)]).toEqual([
    'skip',
    'probe',
    'skip',
    'probe',
  ])
})
