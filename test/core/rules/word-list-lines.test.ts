import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { WordLines } from '../../../src/core/rules/word-list-lines.ts'

/** Reads the bytes in pieces that end at `cuts`. */
function read(bytes: Buffer, cuts: readonly number[] = []): WordLines {
  const lines = new WordLines()
  const ends = [...cuts.filter((cut) => cut < bytes.length).sort((a, b) => a - b), bytes.length]
  let start = 0
  for (const end of ends) {
    // Pieces share one buffer, as they do when a file is read.
    const piece = Buffer.from(bytes.subarray(start, end))
    lines.push(piece)
    piece.fill(0)
    start = end
  }
  lines.finish()
  return lines
}

const latin1 = Buffer.from('caf\xe9', 'latin1')

describe('WordLines', () => {
  it.each([
    { title: 'one word a line', file: 'a\nb\n', words: ['a', 'b'] },
    { title: 'a last line without an end', file: 'a\nb', words: ['a', 'b'] },
    { title: 'the lines of Windows', file: 'a\r\nb\r\n', words: ['a', 'b'] },
    { title: 'no byte order mark', file: '\ufeffa\nb\n', words: ['a', 'b'] },
    { title: 'a byte order mark and a comment', file: '\ufeff# x\na', words: ['a'] },
    { title: 'words without the spaces around them', file: '  a b \t\n\u00a0c\n', words: ['a b', 'c'] },
    { title: 'no blank lines', file: '\n\n  \n\t\na\n\r\n', words: ['a'] },
    { title: 'no comments', file: '# one\n  # two\n#\na\n', words: ['a'] },
    { title: 'a # that is not first', file: 'a # b\n', words: ['a # b'] },
    { title: 'words twice', file: 'a\na\n', words: ['a', 'a'] },
    { title: 'characters beyond ASCII', file: 'größe\n日本\n😀\n', words: ['größe', '日本', '😀'] },
    { title: 'nothing in an empty file', file: '', words: [] },
  ])('reads $title', ({ file, words }) => {
    const lines = read(Buffer.from(file))
    expect(lines.words).toEqual(words)
    expect(lines.invalid).toBe(0)
  })

  it('leaves out lines that are not UTF-8, and says which was the first', () => {
    const file = Buffer.concat([Buffer.from('a\n#\n'), latin1, Buffer.from('\nb\n'), latin1, Buffer.from('\nc')])
    const lines = read(file)
    expect(lines).toMatchObject({ words: ['a', 'b', 'c'], invalid: 2, firstInvalid: 3 })
  })

  it('reads the same wherever the pieces are cut', () => {
    const part = fc.oneof(
      fc.constantFrom('\n', '\n', '\r\n', ' ', '#', '\ufeff', 'a', 'word', 'é', '😀').map((text) => Buffer.from(text)),
      fc.constant(latin1),
    )
    const file = fc.array(part, { maxLength: 40 }).map((parts) => Buffer.concat(parts))
    fc.assert(
      fc.property(file, fc.array(fc.nat(120)), (bytes, cuts) => {
        const { words, invalid, firstInvalid } = read(bytes)
        expect(read(bytes, cuts)).toMatchObject({ words, invalid, firstInvalid })
        // By the definition, on the file as a whole.
        const text = bytes.toString('latin1').replace(/^\xef\xbb\xbf/, '')
        const all = text.split('\n').map((line) => Buffer.from(line, 'latin1'))
        const isValid = (line: Buffer) => Buffer.from(line.toString('utf8')).equals(line)
        const valid = all.filter(isValid).map((line) => line.toString('utf8').trim())
        expect(words).toEqual(valid.filter((word) => word !== '' && !word.startsWith('#')))
        expect(invalid).toBe(all.filter((line) => !isValid(line)).length)
        expect(firstInvalid).toBe(all.findIndex((line) => !isValid(line)) + 1)
      }),
      { numRuns: 2000 },
    )
  })
})
