import { describe, expect, it } from 'vitest'
import { actions } from '../../src/actions/index.ts'
import { actionsCommand } from '../../src/cli/actions.ts'
import { Registry } from '../../src/core/registry.ts'

const registry = new Registry(actions)

function run(name?: string, json = false): { code: number; stdout: string; stderr: string } {
  const result = { code: 0, stdout: '', stderr: '' }
  result.code = actionsCommand(
    registry,
    name,
    { json },
    (text) => {
      result.stdout += text
    },
    (text) => {
      result.stderr += text
    },
  )
  return result
}

describe('feedoo actions', () => {
  it('lists every action under its kind, with its summary', () => {
    const { code, stdout, stderr } = run()
    expect([code, stderr]).toEqual([0, ''])
    const flat = stdout.replace(/\s+/g, ' ')
    for (const { name, summary } of actions) expect(flat).toContain(`${name} ${summary}`)
    expect(stdout.match(/^\w+$/gm)).toEqual(['input', 'parser', 'filter', 'output'])
  })

  it('shows one action with every parameter and example', () => {
    for (const spec of actions) {
      const { code, stdout } = run(spec.name)
      expect(code).toBe(0)
      for (const parameter of Object.keys(spec.params.shape)) expect(stdout).toContain(`\n  ${parameter}: `)
      for (const { title } of spec.examples) expect(stdout).toContain(`Example: ${title}\n`)
    }
  })

  it('gives the same as JSON', () => {
    const all: unknown = JSON.parse(run(undefined, true).stdout)
    expect(all).toMatchObject(actions.map(({ kind, name, summary }) => ({ kind, name, summary })))
    expect(JSON.parse(run('input_dummy', true).stdout)).toMatchObject({
      name: 'input_dummy',
      parameters: [
        { name: 'tag', required: true },
        { name: 'data', default: {} },
        { name: 'repeat' },
        { name: 'rate' },
        { name: 'db_path' },
      ],
    })
  })

  it.each([
    ['input_dumy', 'there is no action named input_dumy; did you mean input_dummy?\n'],
    ['zzzzzz', 'there is no action named zzzzzz; `feedoo actions` lists them all\n'],
  ])('refuses the name %s with exit code 2', (name, message) => {
    expect(run(name)).toEqual({ code: 2, stdout: '', stderr: message })
  })
})
