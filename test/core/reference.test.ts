import { expect, it } from 'vitest'
import { z } from 'zod'
import { fieldParam, matchParam } from '../../src/core/params.ts'
import { parametersOf } from '../../src/core/reference.ts'
import { typeInWords } from '../../src/core/type-words.ts'

const types: [z.ZodType, string][] = [
  [z.string(), 'text'],
  [z.string().min(1), 'text'],
  [z.string().max(10), 'text, at most 10 characters'],
  [z.string().length(1), 'text of 1 character'],
  [z.int(), 'whole number'],
  [z.int().min(1), 'whole number, at least 1'],
  [z.int().min(0).max(9), 'whole number, 0 to 9'],
  [z.number().positive().max(1), 'number, more than 0, at most 1'],
  [z.number().lt(5), 'number, less than 5'],
  [z.boolean(), '`true` or `false`'],
  [z.null(), '`null`'],
  [z.number().nullable(), 'number, or `null`'],
  [z.enum(['a', 'b']), '`a` or `b`'],
  [z.literal([1, 'x']), '`1` or `x`'],
  [z.array(z.string()), 'list of texts'],
  [z.array(z.unknown()), 'list of values'],
  [z.array(z.int()).min(2), 'list of whole numbers, at least 2 entries'],
  [z.tuple([z.string(), z.int()]), 'list of text and whole number'],
  [z.strictObject({ a: z.string() }), 'map'],
  [z.record(z.string(), z.unknown()), 'map'],
  [z.record(fieldParam, z.array(z.string())), 'map of field path to list of texts'],
  [z.union([z.string(), z.int().min(1)]), 'text, or whole number, at least 1'],
  [z.unknown(), 'any value'],
  [matchParam, 'glob, or list of globs'],
  [fieldParam.optional(), 'field path'],
  [z.stringbool(), 'text'],
]

it.each(types)('puts a type in words: %#', (type, words) => {
  const [parameter] = parametersOf(z.strictObject({ it: type }))
  expect(parameter?.type).toBe(words)
})

it('calls a type by its title', () => {
  expect(typeInWords({ type: 'array', items: { type: 'string', title: 'time zone' } })).toBe('list of time zones')
})

it('lists every parameter with its default, limits and values, and nested ones under the way to them', () => {
  const server = z.strictObject({ host: z.string().describe('Its name.') })
  const params = z.strictObject({
    servers: z.union([server, z.array(server)]).describe('Where.'),
    named: z.record(z.string(), server).optional(),
    mode: z.enum(['fast', 'safe']).default('safe').describe('How.'),
    tries: z.int().min(1).max(5).default(2).describe('How often.'),
  })
  expect(parametersOf(params)).toEqual([
    { name: 'servers', type: 'map, or list of maps', description: 'Where.', required: true },
    { name: 'servers.host', type: 'text', description: 'Its name.', required: true },
    { name: 'servers[].host', type: 'text', description: 'Its name.', required: true },
    { name: 'named', type: 'map of name to map', description: '', required: false },
    { name: 'named.*.host', type: 'text', description: 'Its name.', required: true },
    {
      name: 'mode',
      type: '`fast` or `safe`',
      description: 'How.',
      required: false,
      default: 'safe',
      values: ['fast', 'safe'],
    },
    {
      name: 'tries',
      type: 'whole number, 1 to 5',
      description: 'How often.',
      required: false,
      default: 2,
      minimum: 1,
      maximum: 5,
    },
  ])
})
