import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parse, stringify } from 'yaml'
import { actions } from '../../../src/actions/index.ts'
import { isPlainObject, setOwn } from '../../../src/core/event.ts'
import { scratchFolder } from '../../helpers/daemon.ts'
import { loadText } from './helpers.ts'

type Path = (string | number)[]

interface Mutation {
  what: string
  list: unknown
}

/** What is free by design, and may be changed without a word: by action and the path of the parameter. */
const free = {
  /** Any key, any value below. */
  anything: ['input_dummy data'],
  /** The same, in every action. */
  everywhere: ['alert'],
  /** Any key, but values of one type. */
  keys: ['filter_rename keys', 'input_forward users'],
}

describe('one changed key or type in an example is always caught', () => {
  const examples = actions.flatMap((spec) =>
    spec.examples.map((example) => [spec.name, example.title, example] as const),
  )

  test.each(examples)('%s: %s', async (_, __, example) => {
    const folder = await scratchFolder()
    for (const [name, text] of Object.entries(example.files ?? {})) {
      await mkdir(dirname(join(folder, name)), { recursive: true })
      await writeFile(join(folder, name), text)
    }
    const list: unknown = parse(example.yaml.replaceAll('{dir}', folder))
    expect(await errorsOf(list)).toEqual([])
    const mutations = mutationsOf(list)
    expect(mutations.length).toBeGreaterThan(0)
    const missed: string[] = []
    for (const { what, list } of mutations) {
      if ((await errorsOf(list)).length === 0) missed.push(what)
    }
    expect(missed).toEqual([])
  })
})

/** The error messages of a pipeline; one without an input is given one. */
async function errorsOf(list: unknown): Promise<string[]> {
  const actions = Array.isArray(list) ? list : []
  const isInput = (action: unknown) => isPlainObject(action) && String(action.name).startsWith('input_')
  const whole = actions.some(isInput) ? actions : [{ name: 'input_dummy', tag: 'test' }, ...actions]
  const { diagnostics } = await loadText(stringify({ pipelines: { web: whole } }))
  return diagnostics.filter(({ severity }) => severity === 'error').map(({ message }) => message)
}

function mutationsOf(list: unknown): Mutation[] {
  if (!Array.isArray(list)) return []
  return list.flatMap((action, index) => {
    const name = isPlainObject(action) ? String(action.name) : ''
    return mutate(action, name, []).map(({ what, list: changed }) => ({
      what: `${name}: ${what}`,
      list: list.map((other, i) => (i === index ? changed : other)),
    }))
  })
}

/** Every copy of `value` in which one key below it has another name, or one value another type. */
function mutate(value: unknown, action: string, path: Path): Mutation[] {
  const parameter = `${action} ${path.join('.')}`
  if (free.anything.includes(parameter) || free.everywhere.includes(path.join('.'))) return []
  if (Array.isArray(value)) {
    return value.flatMap((item, i) =>
      changesOf(item, action, [...path, i]).map(({ what, list }) => ({
        what,
        list: value.map((other, j) => (j === i ? list : other)),
      })),
    )
  }
  if (!isPlainObject(value)) return []
  return Object.entries(value).flatMap(([key, item]) => {
    const here = [...path, key]
    const renamed = { what: `${here.join('.')} renamed`, list: replaceKey(value, key, `${key}x`, item) }
    const changed = changesOf(item, action, here).map(({ what, list }) => ({
      what,
      list: replaceKey(value, key, key, list),
    }))
    return free.keys.includes(parameter) ? changed : [renamed, ...changed]
  })
}

/** Other values in the place of `value`: one of another type, and those that differ inside. */
function changesOf(value: unknown, action: string, path: Path): Mutation[] {
  const other = { what: `${path.join('.')} of another type`, list: otherType(value) }
  return [other, ...mutate(value, action, path)]
}

function otherType(value: unknown): unknown {
  if (typeof value === 'string') return { other: 1 }
  if (typeof value === 'number') return [value]
  if (typeof value === 'boolean') return 7
  if (Array.isArray(value)) return 7
  return isPlainObject(value) ? 'other' : { other: 1 }
}

function replaceKey(
  map: Record<string, unknown>,
  key: string,
  newKey: string,
  value: unknown,
): Record<string, unknown> {
  const result: Record<string, unknown> = {}
  for (const [name, item] of Object.entries(map))
    setOwn(result, name === key ? newKey : name, name === key ? value : item)
  return result
}
