import { describe, expect, test } from 'vitest'
import { type Diagnostic, formatDiagnostic } from '../../../src/core/config/diagnostic.ts'

const base: Diagnostic = {
  severity: 'error',
  file: 'etc/x.yaml',
  line: 7,
  column: 5,
  message: 'unknown parameter "mtach" of output_stdout',
  hint: 'did you mean "match"?',
  sourceLine: '    mtach: x',
  length: 5,
}

describe('a diagnostic is printed as a compiler would', () => {
  test('with the line, a caret and the hint', () => {
    expect(formatDiagnostic(base)).toBe(
      [
        'etc/x.yaml:7:5: error: unknown parameter "mtach" of output_stdout',
        '    mtach: x',
        '    ^~~~~',
        'hint: did you mean "match"?',
      ].join('\n'),
    )
  })

  test('a file that cannot be read has no line to show', () => {
    const { hint, sourceLine, ...rest } = base
    expect(formatDiagnostic({ ...rest, severity: 'warning' })).toBe(
      'etc/x.yaml: warning: unknown parameter "mtach" of output_stdout',
    )
  })

  test.each<[string, string, number, number, string, string]>([
    ['tabs', '\tk:\tx', 5, 1, '\tk:\tx', '\t  \t^'],
    ['wide characters before', '日志: x', 5, 1, '日志: x', '      ^'],
    ['wide characters marked', 'a 日志', 3, 2, 'a 日志', '  ^~~~'],
    ['combining characters', 'e\u0301: x', 5, 1, 'e\u0301: x', '   ^'],
    ['emoji', '😀 x', 3, 1, '😀 x', '   ^'],
    ['control characters', 'a\u001b[31m: x', 9, 1, 'a\\x1b[31m: x', '           ^'],
    ['marks of direction', 'a\u202eb x', 5, 1, 'a\\u202eb x', '         ^'],
    ['a length past the end of the line', 'ab', 2, 50, 'ab', ' ^'],
    ['a place past the end of the line', 'ab', 4, 1, 'ab', '  ^'],
  ])('the caret stands right with %s', (_, sourceLine, column, length, text, caret) => {
    expect(
      formatDiagnostic({ ...base, sourceLine, column, length })
        .split('\n')
        .slice(1, 3),
    ).toEqual([text, caret])
  })

  test('a long line is cut around the mistake', () => {
    const sourceLine = `${'a'.repeat(500)}b${'c'.repeat(500)}`
    const [, text = '', caret = ''] = formatDiagnostic({ ...base, sourceLine, column: 501, length: 1 }).split('\n')
    expect(text.length).toBeLessThan(200)
    expect(text[caret.indexOf('^')]).toBe('b')
  })

  test('what a file holds cannot colour the terminal', () => {
    const printed = formatDiagnostic({ ...base, message: 'a\u001b[2Jb', hint: '\u0007', file: '\u001bx' })
    expect(printed).not.toMatch(/[\u001b\u0007]/)
  })

  test('in colour, the same text', () => {
    const colored = formatDiagnostic(base, { color: true })
    expect(colored).toContain('\u001b[31merror:')
    expect(colored.replace(/\u001b\[\d+m/g, '')).toBe(formatDiagnostic(base))
  })
})
