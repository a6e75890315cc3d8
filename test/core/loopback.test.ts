import { expect, test } from 'vitest'
import { isLoopback } from '../../src/core/loopback.ts'

test.each([
  ['127.0.0.1', true],
  ['127.200.3.4', true],
  ['::1', true],
  ['0:0:0:0:0:0:0:1', true],
  ['localhost', true],
  ['0.0.0.0', false],
  ['::', false],
  ['128.0.0.1', false],
  ['127.example.com', false],
  ['', false],
])('%j is within reach of this machine alone: %s', (address, expected) => {
  expect(isLoopback(address)).toBe(expected)
})
