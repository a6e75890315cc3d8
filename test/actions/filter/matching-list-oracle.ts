// filter_matching_list by its definition: every word is looked for in every text.
import { filterMatchingList } from '../../../src/actions/filter/filter_matching_list.ts'
import type { Event } from '../../../src/core/event.ts'
import { expectSame, NaiveAlerts } from '../../helpers/naive-alerts.ts'
import { int, pick, type Random, randomStream, runEveryWay, type Step } from '../../helpers/rule-streams.ts'

/** Holds the rule against its definition on a random stream, cut and restarted in every way. */
export function checkMatchingList(random: Random): void {
  const { params, steps } = randomCase(random)
  const { out } = runEveryWay(random, filterMatchingList, { ...params, tag: 'alert' }, steps)
  expectSame(out, naive(params, steps), JSON.stringify({ params, steps }))
}

interface Params extends Record<string, unknown> {
  list: string[]
  mode: 'present' | 'absent'
  whole: boolean
  ignore_case: boolean
  realert: number
  exponential_realert?: number
  query_key?: string
}

function randomCase(random: Random): { params: Params; steps: Step[] } {
  const text = (most: number) =>
    Array.from({ length: int(random, 1, most) }, () => pick(random, ['a', 'A', 'b'])).join('')
  const value = (): unknown => {
    const kind = random()
    if (kind < 0.7) return text(5)
    return pick(random, [null, undefined, 1, '', [text(2), text(2)], { a: text(2), b: [text(3)] }, []])
  }
  return {
    params: {
      key: 'text',
      list: Array.from({ length: int(random, 0, 4) }, () => text(3)),
      mode: pick(random, ['present', 'absent']),
      whole: random() < 0.5,
      ignore_case: random() < 0.5,
      realert: pick(random, [0, 0, 3, 10]),
      ...(random() < 0.5 ? { exponential_realert: 40 } : {}),
      ...(random() < 0.7 ? { query_key: 'key' } : {}),
    },
    steps: randomStream(random, {
      length: int(random, 1, 40),
      timeframe: 5,
      keys: ['x', 'y', 1, '1', undefined],
      fields: () => ({ text: value() }),
    }),
  }
}

function naive(params: Params, steps: readonly Step[]): Event[] {
  const { mode, whole, ignore_case, query_key, realert, exponential_realert: cap } = params
  const alerts = new NaiveAlerts({ tag: 'alert', queryKey: query_key !== undefined, realert, cap })
  const fold = (text: string) => (ignore_case ? text.toLowerCase() : text)
  return steps.flatMap((step) => {
    if (!('tag' in step)) return []
    const value = step.record.text
    const texts = leaves(value).map(fold)
    const keyValue = query_key === undefined ? null : step.record[query_key]
    if (texts.length === 0 || keyValue === undefined) return [step]
    const found = new Map<string, string>()
    for (const text of texts) {
      const places = params.list.flatMap((word) => {
        const place = whole ? (text === fold(word) ? 0 : -1) : text.indexOf(fold(word))
        return place < 0 ? [] : [{ word, place }]
      })
      places.sort((a, b) => a.place - b.place || a.word.length - b.word.length)
      for (const { word } of places) if (!found.has(fold(word))) found.set(fold(word), word)
    }
    if ((mode === 'present') === (found.size === 0)) return [step]
    const own = { mode, found: [...found.values()].join(','), key: 'text', value }
    return [step, ...alerts.fire(keyValue, step.timestamp, own)]
  })
}

function leaves(value: unknown): string[] {
  if (value === undefined || value === null) return []
  return typeof value === 'object' ? Object.values(value).flatMap(leaves) : [String(value)]
}
