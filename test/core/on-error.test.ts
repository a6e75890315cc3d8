import { expect, test } from 'vitest'
import type { ActionContext } from '../../src/core/action.ts'
import { FeedooError } from '../../src/core/errors.ts'
import { createFail, type OnError } from '../../src/core/on-error.ts'

test.each<[OnError, string[]]>([
  ['keep', ['count dropped=false', 'emit a']],
  ['drop', ['count dropped=true']],
  ['dead_letter', ['set aside a: detail of a']],
])('on_error: %s', (onError, expected) => {
  const did: string[] = []
  const context: Pick<ActionContext, 'countError' | 'deadLetter'> = {
    deadLetter: (event, error) => did.push(`set aside ${event.tag}: ${error.message}`),
    countError: (_, dropped) => did.push(`count dropped=${dropped}`),
  }
  const reason = ({ tag }: { tag: string }, detail: string) => new FeedooError('PARSE_FAILED', `${detail} of ${tag}`)
  const event = { tag: 'a', timestamp: 1, record: {} }
  createFail(onError, context)(event, ({ tag }) => did.push(`emit ${tag}`), reason, 'detail')
  expect(did).toEqual(expected)
})
