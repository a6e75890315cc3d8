// The parameters that many actions share, described once.
import { z } from 'zod'
import { globMistake } from './tag.ts'

/** A glob over tags or paths. */
export const globParam = z
  .string()
  .min(1)
  .superRefine((value, context) => {
    const mistake = globMistake(value)
    if (mistake !== undefined) {
      context.addIssue({ code: 'custom', message: mistake.message, params: { index: mistake.index } })
    }
  })
  // A title names the type in the reference.
  .meta({ title: 'glob' })

/** `match`: which tags an action takes. */
export const matchParam = z
  .union([globParam, z.array(globParam).min(1)])
  .default('*')
  .describe(
    'Which tags the action takes: a glob (`*` anything, `?` one character, `[abc]`, `[!abc]`), or a list of globs of which one must match. Other events pass on untouched.',
  )

/** `tag`: what an input calls its events. */
export const tagParam = z
  .string()
  .min(1)
  .max(1024)
  .regex(/^[^\p{Cc}]*$/u, 'a tag holds no control characters')

/** A dotted path into a record. */
export const fieldParam = z.string().min(1).meta({ title: 'field path' })

/** `db_path` of an input. */
export const inputStateParam = z
  .string()
  .min(1)
  .optional()
  .describe(
    'A SQLite file of its own for how far the input has come. Without it, that is kept in `state_dir`, if set, and only there does it agree with the outputs after a crash: with `db_path` alone, the last second may come again.',
  )

/** `db_path` of an action that has nothing to keep. */
export const noStateParam = z
  .string()
  .min(1)
  .optional()
  .describe(
    'Taken, with a warning, because any action may have it in older configurations; this one keeps nothing in a file of its own.',
  )

/** What every output takes: the engine's buffer in front of it, and its retries. */
export const outputParams = {
  match: matchParam,
  buffer_size: z
    .int()
    .min(1)
    .max(1_000_000)
    .default(1000)
    .describe(
      'Events held before they are written in one go. A commit, ten times a second while there is work, writes fewer.',
    ),
  timeout_flush: z
    .number()
    .min(0)
    .max(86_400)
    .default(1)
    .describe(
      'The longest time in seconds that an event is held before it is written. A commit writes what is held ten times a second, so that more than 0.1 makes no difference.',
    ),
  retry_delay: z
    .number()
    .min(0.001)
    .max(3600)
    .default(0.5)
    .describe('Seconds before the first retry when the target is away. It doubles, with jitter, at each further one.'),
  retry_max_delay: z
    .number()
    .min(0.001)
    .max(86_400)
    .default(30)
    .describe('The longest time in seconds between two retries.'),
  retry_limit: z
    .int()
    .min(0)
    .max(1_000_000)
    .optional()
    .describe(
      'Retries before the events that the target does not take go to the dead letters. Without it, feedoo tries until it works.',
    ),
  buffer_limit: z
    .int()
    .min(1024)
    .max(1024 ** 4)
    .default(256 * 1024 * 1024)
    .describe(
      'Bytes that may wait in the state for a target that is away, with `state_dir`. Files and SQLite databases have no such buffer: they are written in the commit itself.',
    ),
  when_full: z
    .enum(['block', 'drop_oldest'])
    .default('block')
    .describe(
      'What happens at `buffer_limit`: `block` lets the inputs wait, `drop_oldest` gives up the oldest events and counts them.',
    ),
  db_path: noStateParam,
} as const
