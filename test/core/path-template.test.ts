import { resolve, sep } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { compilePath, pathTemplateParam } from '../../src/core/path-template.ts'

/** 2023-10-05 12:34:56 UTC. */
const time = 1696509296
const long = 'é'.repeat(1000)

test.each([
  ['/log/%Y/%m-%d.log', {}, '/log/2023/10-05.log'],
  ['/log/{a}.log', { a: 'web' }, '/log/web.log'],
  ['/log/{a}.log', {}, '/log/unknown.log'],
  ['/log/{a}.log', { a: '../../etc/x' }, '/log/____etc_x.log'],
  ['/log/{a}/x', { a: '..' }, '/log/_/x'],
  ['/log/{a}/x', { a: '.' }, '/log/_/x'],
  ['/log/{a}/x', { a: '' }, '/log/_/x'],
  ['/log/{a}{b}/x', { a: '.', b: '.' }, '/log/__/x'],
  ['/log/.{a}/x', { a: '.' }, '/log/__/x'],
  ['/log/{a}', { a: '...' }, '/log/_.'],
  ['/log/{a}', { a: 'a\0b\nc\u001b\u0085d' }, '/log/a_b_c__d'],
  ['/log/{a}', { a: '~root' }, '/log/~root'],
  ['/log/{a}', { a: ['/', { b: '..' }] }, '/log/["_",{"b":"_"}]'],
  ['{a}', { a: '/etc/passwd' }, '_etc_passwd'],
  // What a directive gives adds no slash and no line break of its own.
  ['/log/%D%n.log', {}, '/log/10_05_23_.log'],
  ['../logs/%Y', {}, '../logs/2023'],
  ['/log/100%%/%Y', {}, '/log/100%/2023'],
])('%s of %j is %s', (template, record, path) => {
  expect(compilePath(template).path(time, record)).toBe(path)
})

test.each([
  ['/log/%Y/{a}.log', '/log/'],
  ['/log/a/b-%Y', '/log/a/'],
  ['/log/100%%/%Y', '/log/100%/'],
  ['/log/a.log', '/log/'],
  ['{a}/b', ''],
  ['log.json', ''],
])('the folder that %s fixes is %j', (template, fixed) => {
  expect(compilePath(template).fixed).toBe(fixed)
})

test.each([
  ['/log/{a}.log', { a: long }, `/log/${'é'.repeat(125)}.log`],
  ['/log/{a}-{b}.log', { a: long, b: long }, `/log/${'é'.repeat(62)}-${'é'.repeat(62)}.log`],
])('long values in %s are cut between characters, and what is behind them stays', (template, record, path) => {
  expect(compilePath(template).path(time, record)).toBe(path)
})

test('a path that no file system takes is refused', () => {
  const template = Array.from({ length: 20 }, () => '{a}').join('/')
  expect(() => compilePath(template).path(time, { a: 'x'.repeat(255) })).toThrow(
    expect.objectContaining({ code: 'OUTPUT_REJECTED' }),
  )
})

test.each([
  ['/log/%Q', 5, '%s'],
  ['/log/%Y/../x', 8, '..'],
  ['/log/{a}/..', 9, '..'],
  ['/log/', 4, 'no file'],
  ['/log/%Y/.', 8, 'no file'],
  ['.', 0, 'no file'],
  ['/log/a\0', 6, 'NUL'],
])('the template %j has a mistake at %d', (template, index, word) => {
  const issue = pathTemplateParam.safeParse(template).error?.issues[0]
  expect(issue).toMatchObject({ code: 'custom', params: { index } })
  expect(issue?.message).toContain(word)
})

test('whatever the record holds, the path stays below the fixed folder and its names fit', () => {
  const nasty = fc.constantFrom('.', '..', '/', '\0', '../', '..\\', '', 'a', '\ud800', 'é', '\n', '~', 'x'.repeat(300))
  const value = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.array(nasty, { maxLength: 8 }).map((all) => all.join('')),
    fc.jsonValue(),
  )
  const template = fc.constantFrom(
    '{a}',
    '{a}{b}',
    '.{a}',
    '{a}.',
    '{a}.{b}',
    '%Y/{a}/{b}.log',
    '{a}/{b}/%D/c',
    'x{a}y',
  )
  fc.assert(
    fc.property(template, value, value, (text, a, b) => {
      const path = compilePath(`/fixed/dir/${text}`).path(time, { a, b })
      expect(resolve(path)).toBe(path)
      expect(path.startsWith('/fixed/dir/')).toBe(true)
      expect(path.split(sep)).toHaveLength(`/fixed/dir/${text}`.split(sep).length)
      expect(path).not.toMatch(/[\u0000-\u001f\u007f]/)
      for (const name of path.split(sep)) expect(Buffer.byteLength(name)).toBeLessThanOrEqual(255)
    }),
    { numRuns: 300 },
  )
})
