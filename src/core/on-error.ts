// What becomes of an event that a parser or a filter cannot handle: the parameter `on_error`, and what does it.
import { z } from 'zod'
import type { ActionContext, Emit } from './action.ts'
import type { FeedooError } from './errors.ts'
import type { Event } from './event.ts'

export const onErrorParam = z.enum(['keep', 'drop', 'dead_letter']).default('keep')

export type OnError = z.output<typeof onErrorParam>

/** Why an event cannot be handled. Asked only when it is set aside: an error with its stack is dear. */
export type Reason = (event: Event, detail: string) => FeedooError

export type Fail = (event: Event, emit: Emit, reason: Reason, detail?: string) => void

/** Counts the event, and passes it on, throws it away or sets it aside. */
export function createFail(
  onError: OnError,
  { countError, deadLetter }: Pick<ActionContext, 'countError' | 'deadLetter'>,
): Fail {
  if (onError === 'dead_letter') return (event, _, reason, detail = '') => deadLetter(event, reason(event, detail))
  const keep = onError === 'keep'
  return (event, emit) => {
    countError(event, !keep)
    if (keep) emit(event)
  }
}
