import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LineSplitter } from '../../../src/core/files/line-splitter.ts'
import { type TextEncoding, textEncoding } from '../../../src/core/files/text-encoding.ts'

function encodingOf(label: string): TextEncoding {
  const encoding = textEncoding(label)
  if (encoding === undefined) throw new Error(`no ${label}`)
  return encoding
}

function split(label: string, chunks: readonly Buffer[], maxLine = 1000) {
  let out = ''
  const tooLong: string[] = []
  const sink = { lines: (text: string) => (out += text), tooLong: (start: string) => tooLong.push(start) }
  const splitter = new LineSplitter(encodingOf(label), maxLine, sink)
  for (const chunk of chunks) {
    // The caller reuses its buffer: what is kept must be a copy.
    const reused = Buffer.from(chunk)
    splitter.push(reused)
    reused.fill(0x58)
  }
  const unfinished = splitter.rest()
  splitter.finish()
  return { lines: out.split('\n').slice(0, -1), tooLong, unfinished, pending: splitter.pending }
}

const bytes: Record<string, (text: string) => Buffer> = {
  'utf-8': (text) => Buffer.from(text),
  latin1: (text) => Buffer.from(text, 'latin1'),
  'utf-16le': (text) => Buffer.from(text, 'utf16le'),
  'utf-16be': (text) => Buffer.from(text, 'utf16le').swap16(),
}

describe('LineSplitter', () => {
  it.each([
    ['', []],
    ['\n', ['']],
    ['\n\n', ['', '']],
    ['a', ['a']],
    ['a\nb\n', ['a', 'b']],
    ['a\n\nb', ['a', '', 'b']],
    ['a\r\nb\r\n', ['a\r', 'b\r']],
    ['\ufeffa\n\ufeffb\n', ['a', '\ufeffb']],
  ])('cuts %j into %j', (text, lines) => {
    expect(split('utf-8', [Buffer.from(text)]).lines).toEqual(lines)
  })

  it.each(Object.keys(bytes))('gives the same lines wherever %s bytes are cut in two or three', (label) => {
    // U+0A0A and U+010A hold the byte of a newline in UTF-16.
    const text = label === 'latin1' ? 'é\n\nz\xff\nend' : 'é€\n\u0a0a\u010a\ud83d\ude00x\n\n\u0a00\u000a\u0100\nend'
    const all = (bytes[label] as (text: string) => Buffer)(text)
    const whole = text.split('\n')
    for (let i = 0; i <= all.length; i++) {
      for (let j = i; j <= all.length; j++) {
        const parts = [all.subarray(0, i), all.subarray(i, j), all.subarray(j)]
        expect(split(label, parts).lines, `${i},${j}`).toEqual(whole)
      }
    }
  })

  it('agrees with a naive split on any text, cut anywhere, with lines that are too long taken out', () => {
    const line = fc.string({ unit: fc.constantFrom('a', 'é', '€', '😀', '\r'), maxLength: 12 })
    fc.assert(
      fc.property(
        fc.array(line, { maxLength: 12 }),
        fc.array(fc.nat(200)),
        fc.integer({ min: 1, max: 20 }),
        (lines, cuts, max) => {
          const all = Buffer.from(lines.map((one) => `${one}\n`).join(''))
          const marks = [0, ...cuts.filter((cut) => cut < all.length).sort((a, b) => a - b), all.length]
          const chunks = marks.slice(1).map((mark, i) => all.subarray(marks[i], mark))
          const result = split('utf-8', chunks, max)
          expect(result.lines).toEqual(lines.filter((one) => Buffer.byteLength(one) <= max))
          expect(result.tooLong).toHaveLength(lines.filter((one) => Buffer.byteLength(one) > max).length)
        },
      ),
      { numRuns: 500 },
    )
  })

  it('shows 64 KiB of a line of 50 MB, holds none of it, and goes on at the next newline', () => {
    const chunk = Buffer.alloc(1024 * 1024, 'x')
    const result = split(
      'utf-8',
      [Buffer.from('a\n'), ...Array(50).fill(chunk), Buffer.from('x\nb\n')],
      2 * 1024 * 1024,
    )
    expect(result.lines).toEqual(['a', 'b'])
    expect(result.tooLong.map((start) => start.length)).toEqual([64 * 1024])
    expect(result.pending).toBe(0)
  })

  it.each(Object.keys(bytes))('gives a large chunk of %s out in several texts, of whole lines', (label) => {
    // U+0A0A holds the byte of a newline in UTF-16; latin1 knows it not.
    const odd = label === 'latin1' ? 'é' : '\u0a0a'
    const lengths = [0, 70_000, 1, 30_000, 40_000, 65_535, 65_536, 12, 200_000, 3, ...Array(3000).fill(99)]
    const lines = lengths.map((length) => odd.repeat(length))
    const text = lines.map((line) => `${line}\n`).join('')
    const texts: string[] = []
    const splitter = new LineSplitter(encodingOf(label), 1_000_000, { lines: (some) => texts.push(some), tooLong() {} })
    splitter.push((bytes[label] as (text: string) => Buffer)(text))
    expect(texts.join('') === text).toBe(true)
    expect(texts.every((some) => some.endsWith('\n'))).toBe(true)
    expect(texts.length).toBeGreaterThan(5)
  })

  it('holds half a line, and tells how many bytes of it there are', () => {
    expect(split('utf-8', [Buffer.from('a\nhal')]).unfinished).toBe('hal')
  })

  it.each(['utf-99', '', 'replacement'])('knows no encoding named %j', (label) => {
    expect(textEncoding(label)).toBeUndefined()
  })
})
