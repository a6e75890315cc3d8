import { describe, expect, test } from 'vitest'
import { formatDiagnostic } from '../../../src/core/config/diagnostic.ts'
import { maskedLine } from '../../../src/core/config/secrets.ts'
import { loadText } from './helpers.ts'

/** All that is printed about a text. */
async function printed(text: string): Promise<string> {
  const { diagnostics } = await loadText(text)
  return diagnostics.map((one) => formatDiagnostic(one)).join('\n')
}

const input = (lines: string) => `pipelines:\n  web:\n    - name: input_forward\n${lines}    - name: output_stdout\n`

describe('a mistake is shown and the secret beside it is not', () => {
  test.each<[string, string, string]>([
    ['a key that is a number', input('      shared_key: 77001\n'), '`shared_key` wants text, not a number'],
    ['a key with a leading zero', input('      shared_key: 077001\n'), 'shared_key'],
    ['a misspelt key', input('      shard_key: hunter2\n'), 'did you mean "shared_key"?'],
    ['a list', input('      shared_key: [hunter2]\n'), '`shared_key` wants text, not a list'],
    ['a map', input('      shared_key: {hunter2}\n'), 'shared_key'],
    [
      'a password of a user',
      input('      shared_key: hunter2\n      users:\n        web-1: 77001\n'),
      '`users.web-1` wants',
    ],
    ['a password in a list', input('      users:\n      - username: a\n        password: 77001\n'), 'password'],
    ['users on one line', input('      users: { web-1: hunter2 }\n'), 'they protect nothing'],
    ['all on one line', 'pipelines:\n  web:\n    - { name: input_forward, prot: 1, shared_key: hunter2 }\n', '"prot"'],
    [
      'a mistake behind it',
      'pipelines:\n  web:\n    - { name: input_forward, shared_key: hunter2, prot: 1 }\n',
      '"prot"',
    ],
    [
      'an output',
      input('    - name: output_forward\n      username: a\n      password: 77001\n'),
      '`password` wants text',
    ],
    ['a token', 'states:\n  token: 77001\npipelines: {}\n', 'wants text, not a number'],
    ['no YAML', input('      shared_key: "hunter2\n'), 'error:'],
  ])('%s', async (_, text, expected) => {
    const all = await printed(text)
    expect(all).toContain(expected)
    expect(all).not.toMatch(/hunter2|77001/)
  })

  test('the caret stands where it stood, and does not tell how long the secret is', async () => {
    expect((await printed(input('      shared_key: 7700177001\n'))).split('\n').slice(1, 3)).toEqual([
      '      shared_key: ***',
      '                  ^~~',
    ])
  })

  test.each([
    ['name: x', 'name: x'],
    ['users:', 'users:'],
    ['users:\n  - username: a', '  - username: ***'],
    ['users:\n  a: |\n    first\n    second', '    ***'],
    ['users:\n  a: b\nport: 1', 'port: 1'],
    ['user: nobody', 'user: nobody'],
    ['key: x', 'key: x'],
    ['keys: [x]', 'keys: [x]'],
    ['key_file: /etc/x.key', 'key_file: /etc/x.key'],
    ['a: 1\r\npassword: b\r', 'password: ***'],
  ])('the last line of %j is shown as %j', (text, shown) => {
    expect(maskedLine(text, text.split('\n').length)).toBe(shown)
  })
})
