import { expect, test } from 'vitest'
import { loadActions, Registry } from '../../src/core/registry.ts'
import { filter } from '../helpers/actions.ts'

const spec = (name: string) => filter(name, () => ({ apply: (event, emit) => emit(event) }))

test('actions are found by name and listed in the order they came', () => {
  const [b, a] = [spec('b'), spec('a')]
  const registry = new Registry([b, a])
  expect(registry.get('filter_a')).toBe(a)
  expect(registry.get('__proto__')).toBeUndefined()
  expect(registry.names()).toEqual(['filter_b', 'filter_a'])
  expect(registry.all()).toEqual([b, a])
})

test('a name that is taken is refused, and the first keeps it', () => {
  const first = spec('a')
  const registry = new Registry([first])
  expect(() => registry.add(spec('a'))).toThrow(
    expect.objectContaining({ code: 'PLUGIN_FAILED', message: 'there is already an action named filter_a' }),
  )
  expect(registry.get('filter_a')).toBe(first)
})

test('the built-in actions load from their module', async () => {
  const registry = await loadActions([new URL('../../src/actions/index.ts', import.meta.url).href])
  expect(registry.names()).toEqual(expect.arrayContaining(['input_dummy', 'output_stdout']))
})

test('the same module twice is refused with its file', async () => {
  const url = new URL('../../src/actions/index.ts', import.meta.url)
  await expect(loadActions([url.href, url.href])).rejects.toMatchObject({
    code: 'PLUGIN_FAILED',
    message: expect.stringContaining(url.pathname),
  })
})
