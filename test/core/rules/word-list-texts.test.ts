import { describe, expect, it } from 'vitest'
import { textsIn } from '../../../src/core/rules/word-list-texts.ts'

describe('textsIn', () => {
  it.each([
    { title: 'a text', value: 'a', texts: ['a'] },
    { title: 'an empty text', value: '', texts: [''] },
    { title: 'a number', value: 1.5, texts: ['1.5'] },
    { title: 'a boolean', value: false, texts: ['false'] },
    { title: 'a large whole number', value: 12345678901234567890n, texts: ['12345678901234567890'] },
    { title: 'nothing in null', value: null, texts: [] },
    { title: 'nothing where there is nothing', value: undefined, texts: [] },
    { title: 'a list in order', value: ['a', 2, null, ['b', []]], texts: ['a', '2', 'b'] },
    { title: 'the values of a map, not its keys', value: { x: 'a', y: { z: ['b'] }, w: 'c' }, texts: ['a', 'b', 'c'] },
    { title: 'a key called __proto__', value: JSON.parse('{"__proto__":"a"}') as unknown, texts: ['a'] },
    { title: 'bytes as UTF-8', value: Buffer.from('größe'), texts: ['größe'] },
    { title: 'a date', value: new Date(0), texts: ['1970-01-01T00:00:00.000Z'] },
  ])('finds $title', ({ value, texts }) => {
    expect(textsIn(value)).toEqual(texts)
  })

  it('finds a text 100,000 levels deep', () => {
    let value: unknown = 'a'
    for (let i = 0; i < 100_000; i++) value = [value]
    expect(textsIn(value)).toEqual(['a'])
  })

  it('refuses a value that holds itself', () => {
    const list: unknown[] = ['a']
    list.push(list)
    expect(() => textsIn(list)).toThrow(RangeError)
  })
})
