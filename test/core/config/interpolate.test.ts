// biome-ignore-all lint/suspicious/noTemplateCurlyInString: that is what these tests are about
import { describe, expect, test } from 'vitest'
import { dummy, loadText, paramsOf, shown } from './helpers.ts'

const env = { NAME: 'web', N: '5', EMPTY: '', OCTAL: '012', BOOL: 'true', SECRET: 'hunter2', LINES: 'a: b\n- c' }
const variables = String.raw`variables: { n: 5, s: text, list: [a, b], map: { k: v }, yes: true, none: null, re: '\d{4}', e: '${'${NAME}'}-x', t: '{s}!' }
`

describe('a value of the data', () => {
  test.each<[string, string, unknown]>([
    ['the environment', '${NAME}', 'web'],
    ['the environment inside a text', 'a-${NAME}-b', 'a-web-b'],
    ['a plain number', '${N}', 5],
    ['a quoted number', '"${N}"', '5'],
    ['a plain number with something beside it', '${N}0', 50],
    ['a plain boolean', '${BOOL}', true],
    ['a default', '${NOWHERE:-x y}', 'x y'],
    ['a default that is a number', '${NOWHERE:-7}', 7],
    ['an empty default', '"${NOWHERE:-}"', ''],
    ['a default for an empty variable', '${EMPTY:-x}', 'x'],
    ['an empty variable', '"${EMPTY}"', ''],
    ['an empty variable without quotes', '${EMPTY}', null],
    ['an escape', '$${NAME}', '${NAME}'],
    ['an escape of a variable', '"$${s}"', '${s}'],
    ['text that looks like YAML', '${LINES}', 'a: b\n- c'],
    ['a number by variable', '"{n}"', 5],
    ['a list by variable', '"{list}"', ['a', 'b']],
    ['a map by variable', '"{map}"', { k: 'v' }],
    ['a boolean by variable', '"{yes}"', true],
    ['null by variable', '"{none}"', null],
    ['a variable inside a text', 'a {n} b', 'a 5 b'],
    ['an unknown variable', '"{unknown} {s}"', '{unknown} text'],
    ['a variable beside a quantifier', String.raw`'{s}\d{4}'`, String.raw`text\d{4}`],
    ['a variable inside JSON', '\'{"a":"{s}"}\'', '{"a":"text"}'],
    ['braces in braces', "'{{s}}'", '{text}'],
    ['a variable with braces of its own', "'{re}'", String.raw`\d{4}`],
    ['a variable from the environment', "'{e}'", 'web-x'],
    ['a variable from a variable', "'{t}'", 'text!'],
    ['a block scalar', '|-\n          {s}\n          ${NAME}', 'text\nweb'],
  ])('%s', async (_, written, expected) => {
    const loaded = await loadText(dummy(`      data:\n        v: ${written}\n`, variables), { env })
    expect(paramsOf(loaded)[0]).toEqual({ tag: 'web.a', data: { v: expected } })
  })
})

describe('what a parameter wants decides how an interpolated text is read', () => {
  test.each<[string, unknown]>([
    ['repeat: "${N}"', { repeat: 5 }],
    ['repeat: "{num}"', { repeat: 3 }],
    ['rate: "${N}.5"', { rate: 5.5 }],
    ['tag2: 1', undefined],
  ])('%s', async (line, expected) => {
    const loaded = await loadText(dummy(`      ${line}\n`, 'variables: { num: "3" }\n'), { env })
    if (expected === undefined) expect(loaded.config).toBeUndefined()
    else expect(paramsOf(loaded)[0]).toMatchObject(expected as object)
  })

  test('a text parameter takes a number from the environment as text', async () => {
    const text =
      'pipelines:\n  p:\n    - name: input_dummy\n      tag: ${N}\n    - name: output_stdout\n      match: ["${N}", "{n}"]\n'
    const loaded = await loadText(`variables: { n: 5 }\n${text}`, { env })
    expect(paramsOf(loaded)).toEqual([{ tag: '5' }, { match: ['5', '5'] }])
  })

  test.each(['yes', 'Yes', 'ON', 'true', 'True', '"yes"', '"${BOOL}"'])(
    '%s is a boolean where one is wanted',
    async (yes) => {
      const text = dummy(`    - name: filter_date\n      timestamp: ${yes}\n`)
      expect(paramsOf(await loadText(text, { env }))[1]).toEqual({ timestamp: true })
    },
  )

  test('a quoted "true" is text', async () => {
    expect(shown(await loadText(dummy('    - name: filter_date\n      timestamp: "true"\n')))).toEqual([
      '6:18 error `timestamp` wants true or false, not the text "true" | write true or false, without quotes',
    ])
  })
})

describe('mistakes', () => {
  test('a mistake inside a list variable is shown where the list is written', async () => {
    const text = `variables:\n  globs: [web.*, 5]\n${dummy('').replace(/\n$/, '\n      match: "{globs}"\n')}`
    expect(shown(await loadText(text))).toEqual([
      '2:18 error `match[1]` wants text, not the number 5 | put it in quotes: "5"',
    ])
  })

  test('an index behind something put in stays exact', async () => {
    const text = dummy("    - name: parser_regex\n      regex: '{s}(?P<a>${NAME})[z-a]'\n", variables)
    expect(shown(await loadText(text, { env }))).toEqual(['7:33 error `regex`: the range z-a runs backwards'])
  })

  test('a value from the environment is never shown', async () => {
    const text = dummy(
      '      repeat: ${SECRET}\n      rate: "x${SECRET}"\n      data: ["{v}"]\n',
      "variables: { v: '${SECRET}' }\n",
    )
    const found = shown(await loadText(text, { env }))
    expect(found).toHaveLength(3)
    expect(found.join()).not.toContain('hunter2')
  })

  test('variables that grow are refused', async () => {
    const steps = Array.from({ length: 30 }, (_, i) => `  v${i + 1}: '{v${i}}{v${i}}'\n`).join('')
    const lists = Array.from({ length: 30 }, (_, i) => `  l${i + 1}: ['{l${i}}', '{l${i}}']\n`).join('')
    const text = dummy('', `variables:\n  v0: text\n  l0: [a]\n${steps}${lists}`)
    expect(shown(await loadText(text)).map((line) => line.replace(/^\S+ /, ''))).toEqual([
      'error the variables make this text longer than a million characters',
      'error variables blow this configuration up to more than 20000 values',
    ])
  })

  test('an environment variable named as a property of every object is none', async () => {
    expect(shown(await loadText(dummy('      data: { a: "${constructor}" }\n')))).toEqual([
      '5:19 error the environment has no variable constructor | set it, or give a default: ${constructor:-default}',
    ])
  })
})
