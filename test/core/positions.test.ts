import { describe, expect, test } from 'vitest'
import { actionKey } from '../../src/core/positions.ts'
import { type ActionMap, actionConfig } from '../helpers/run-pipeline.ts'

const file = (path: string, more: Record<string, unknown> = {}): ActionMap => ({
  ...{ name: 'input_file', path_pattern: path },
  ...more,
})
const configs = (list: readonly ActionMap[]) => list.map(actionConfig)
const keysOf = (list: readonly ActionMap[]) => list.map((_, place) => actionKey(configs(list), place))
const [a, b, c] = [file('/a'), file('/b'), file('/c')]
const [keyA = '', keyB = ''] = keysOf([a, b])

describe('an input or output without a label', () => {
  const cases: [string, ActionMap[]][] = [
    ['stands behind a new one', [c, a, b]],
    ['stands before one that is gone', [a]],
    ['has changed places', [b, a]],
    ['reads in another way', [file('/a', { max_line: 9, tag: 'x', db_path: '/state' }), b]],
  ]
  test.each(cases)('keeps its name when it %s', (_, list) => {
    const keys = keysOf(list)
    expect(keys).toContain(keyA)
  })

  test('has another name than its equal', () => {
    expect(keysOf([a, b, a])).toEqual([keyA, keyB, `${keyA}/2`])
  })

  test('goes by its order when nothing says where it reads', () => {
    expect(keysOf([{ name: 'input_dummy' }, { name: 'input_dummy', data: 1 }])).toEqual([
      'input_dummy/input_dummy/1',
      'input_dummy/input_dummy/2',
    ])
  })
})

test('rules, and all that have a label, go by it and by their order', () => {
  const list = [
    ...[file('/a', { label: 'x' }), file('/b', { label: 'x' })],
    ...[{ name: 'filter_spike' }, { name: 'filter_spike', host: 'h' }],
  ]
  expect(keysOf(list)).toEqual([
    ...['input_file/x/1', 'input_file/x/2'],
    ...['filter_spike/filter_spike/1', 'filter_spike/filter_spike/2'],
  ])
})
