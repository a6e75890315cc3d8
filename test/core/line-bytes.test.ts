import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { encodeLines } from '../../src/core/line-bytes.ts'

function encode(before: string, lines: readonly string[]): Buffer[] {
  const calls: Buffer[] = []
  encodeLines(before, lines, (bytes) => calls.push(Buffer.from(bytes)))
  return calls
}

/** Lines from empty ones to ones that fit in no buffer, of one to four bytes a character, with halves of pairs. */
const line = fc
  .tuple(fc.string({ unit: 'binary', maxLength: 5 }), fc.constantFrom('', '\ud83d', 'é', '€'), fc.nat(3))
  .map(([text, odd, size]) => `${text}${odd}`.repeat([1, 100, 5_000, 40_000][size] ?? 1))

describe('lines as bytes', () => {
  test('are the UTF-8 of each line and its newline, and each call ends with a whole line', () => {
    fc.assert(
      fc.property(fc.constantFrom('', '\n', 'a,b\n'), fc.array(line, { maxLength: 12 }), (before, lines) => {
        const calls = encode(before, lines)
        expect(Buffer.concat(calls).equals(Buffer.from(before + lines.map((text) => `${text}\n`).join('')))).toBe(true)
        for (const bytes of calls) expect(bytes.at(-1)).toBe(10)
      }),
      { numRuns: 60 },
    )
  })

  test('of a large batch come in few calls, none of them large', () => {
    const calls = encode('', Array(10_000).fill('x'.repeat(199)))
    expect(Buffer.concat(calls).length).toBe(2_000_000)
    expect(Math.max(...calls.map((bytes) => bytes.length))).toBeLessThanOrEqual(128 * 1024)
    expect(calls.length).toBeLessThan(30)
  })

  test('are nothing when there are none', () => {
    expect(encode('', [])).toEqual([])
  })
})
