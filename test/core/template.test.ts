import fc from 'fast-check'
import { expect, test } from 'vitest'
import { compileTemplate, parseTemplate, templateMistake } from '../../src/core/template.ts'

/** 2023-10-05 12:34:56 UTC. */
const time = 1696509296

test.each([
  ['plain', {}, 'plain'],
  ['%Y-%m-%d {host}', { host: 'web1' }, '2023-10-05 web1'],
  ['{user.name} from {ip}', { user: { name: 'ann' }, ip: '10.0.0.1' }, 'ann from 10.0.0.1'],
  ['{a.b}', { 'a.b': 'literal key', a: { b: 'inner' } }, 'literal key'],
  ['{n} {yes} {list} {map}', { n: 1.5, yes: true, list: [1], map: { a: 1 } }, '1.5 true [1] {"a":1}'],
  ['{gone} {null}', { null: null }, 'unknown unknown'],
  ['{empty}|', { empty: '' }, '|'],
  ['{__proto__} {toString}', {}, 'unknown unknown'],
  ['{value}', { value: '%Y {other}', other: 'x' }, '%Y {other}'],
  ['{} { a {{host}} }', { host: 'h' }, '{} { a {h} }'],
  ['100%% {%Y}', {}, '100% {2023}'],
])('%s of %j is %s', (template, record, text) => {
  expect(compileTemplate(template)(time, record)).toBe(text)
})

test('the parts are text and fields', () => {
  expect(parseTemplate('a%Y{b.c}{d}')).toEqual([
    { kind: 'text', format: 'a%Y' },
    { kind: 'field', path: 'b.c' },
    { kind: 'field', path: 'd' },
  ])
})

test.each([
  ['{a_field}%Q', 9],
  ['%Y{a}%', 5],
  ['%{a}', 0],
])('the mistake of %s is at %d', (template, index) => {
  expect(templateMistake(template)).toMatchObject({ index })
})

test('a value that is changed in place is seen', () => {
  const render = compileTemplate('{map}')
  const map = { a: 1 }
  expect(render(time, { map })).toBe('{"a":1}')
  map.a = 2
  expect(render(time, { map })).toBe('{"a":2}')
})

test('after a value that cannot be written, the next is not taken for the one before', () => {
  const render = compileTemplate('{a}')
  const cycle = {}
  Object.assign(cycle, { cycle })
  expect(render(time, { a: 'x' })).toBe('x')
  expect(() => render(time, { a: cycle })).toThrow()
  expect(() => render(time, { a: cycle })).toThrow()
  expect(render(time, { a: 'x' })).toBe('x')
})

test('a template that keeps texts gives what a new one gives', () => {
  const value = fc.oneof(fc.constantFrom('', 'a', '1:a', 'a1:', null, 1, '1', true), fc.string({ maxLength: 3 }))
  const event = fc.record({
    time: fc.oneof(
      fc.constantFrom(0, 1, 59.9999999, 60, 86_399.9999999),
      fc.double({ min: 0, max: 200_000, noNaN: true }),
    ),
    record: fc.record({ a: value, b: value }, { requiredKeys: [] }),
  })
  const template = fc.constantFrom('{a}{b}', '%Y-%m-%d {a}', '%H{a}%S{b}', '%f{b}', '%d', '{b}')
  fc.assert(
    fc.property(template, fc.array(event, { maxLength: 30 }), (text, events) => {
      const kept = compileTemplate(text)
      for (const { time, record } of events) {
        expect(kept(time, record)).toBe(compileTemplate(text)(time, record))
      }
    }),
  )
})

test('{tag} is the tag of the event, unless the record has a field of that name', () => {
  const render = compileTemplate('{tag}/%Y')
  expect(render(0, {}, 'app.auth')).toBe('app.auth/1970')
  expect(render(0, {}, 'other')).toBe('other/1970')
  expect(render(0, { tag: 'mine' }, 'other')).toBe('mine/1970')
  expect(render(0, {})).toBe('unknown/1970')
})
