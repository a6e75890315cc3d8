// Reads files line by line, and follows them as they grow, are rotated and are replaced.
import { dirname, resolve } from 'node:path'
import { z } from 'zod'
import { defineAction } from '../../core/action.ts'
import { lintPaths } from '../../core/files/lint-paths.ts'
import { tail } from '../../core/files/tail.ts'
import { textEncoding } from '../../core/files/text-encoding.ts'
import type { Search } from '../../core/files/walk.ts'
import { globParam, inputStateParam, tagParam } from '../../core/params.ts'
import { compileMatch } from '../../core/tag.ts'

/** Files out of sight whose positions are kept. */
const maxRemembered = 10_000

export const inputFile = defineAction({
  kind: 'input',
  name: 'input_file',
  summary: 'Reads files, one event a line as `{"log": line}`, and follows them as they grow and are rotated.',
  details: `Each line is read exactly once and in order, whatever becomes of its file: it grows, is renamed, is copied and
truncated, is deleted and its inode given to another file. A file is known by its inode and its first bytes, and a
position is where the last whole line ended. A pipeline that is started again, or changed by a reload, goes on from
there; a new process begins anew.

A line without its newline is held until the newline comes. It is sent as it is when nothing more will come: with
\`once\`, at the end of a compressed file, and when a file that was rotated or deleted is left alone.

A new file whose name begins with the name of a known one (\`app.log\`, then \`app.log.1\` or \`app.log.1.gz\`) and
that holds the same bytes is a rotated copy: what was read of the original is not read again in the copy.

Files that end in \`.gz\` and \`.zst\` are decompressed as they are read. A line longer than \`max_line\` is passed over,
and its first 64 KiB go to the dead letters.`,
  params: z.strictObject({
    tag: tagParam.describe('The tag of the events.'),
    path_pattern: globParam.describe(
      'Which files are read: a glob (`*` anything, `?` one character, `[abc]`, `[!abc]`) that is matched against the whole path, so that `*` crosses slashes. A relative one begins at the working directory, but for one that begins with `*` where `watch_path` is given.',
    ),
    watch_path: z
      .string()
      .min(1)
      .optional()
      .describe(
        'The folder that is searched, with its sub-folders. Without it, the folder part of `path_pattern` before its first wildcard.',
      ),
    remove: z
      .boolean()
      .default(false)
      .describe('Deletes a file when all of it has been read and its events are safe in their outputs.'),
    remove_after: z
      .number()
      .min(0)
      .max(86_400)
      .default(5)
      .describe('Seconds that a followed file must be unchanged before `remove` deletes it.'),
    from: z
      .enum(['start', 'end'])
      .default('start')
      .describe(
        '`start`: files are read from their beginning. `end`: those that are there when the input runs for the first time are read from their last whole line on.',
      ),
    once: z
      .boolean()
      .default(false)
      .describe('Reads what matches now to its end and finishes, so that a job ends, instead of following the files.'),
    encoding: z
      .string()
      .default('utf-8')
      .refine((label) => textEncoding(label) !== undefined, 'no such encoding; try utf-8, latin1 or utf-16le')
      .describe('The encoding of the text, by its label in the WHATWG Encoding standard.'),
    max_line: z
      .int()
      .min(1)
      .max(256 * 1024 * 1024)
      .default(1024 * 1024)
      .describe('The longest line in bytes. A longer one goes to the dead letters, cut off.'),
    path_key: z
      .string()
      .min(1)
      .refine((key) => key !== 'log', 'the line itself is in log')
      .optional()
      .describe('The field of the record that gets the path of the file.'),
    refresh_interval: z
      .number()
      .min(0.01)
      .max(3600)
      .default(1)
      .describe('Seconds between two scans for new files and changes. Most changes are noticed sooner.'),
    rotate_wait: z
      .number()
      .min(0)
      .max(3600)
      .default(10)
      .describe(
        'Seconds without a change after which a rotated, deleted or compressed file is taken to be finished, and a new file that looks like the beginning of a rotated copy to be none.',
      ),
    idle_timeout: z
      .number()
      .min(0)
      .max(86_400)
      .default(300)
      .describe('Seconds without a change after which a file is closed. It is opened again when it changes.'),
    max_open_files: z
      .int()
      .min(1)
      .max(100_000)
      .default(256)
      .describe('Files held open at a time. Past it, the least recently active ones are closed and take turns.'),
    db_path: inputStateParam,
  }),
  examples: [
    {
      title: 'Read the files of a folder to their end',
      yaml: '- name: input_file\n  tag: access\n  path_pattern: "{dir}/*.log"\n  once: true\n',
      files: { 'web.log': 'GET /\nGET /about\n', 'notes.txt': 'not read\n' },
      out: [
        { tag: 'access', record: { log: 'GET /' } },
        { tag: 'access', record: { log: 'GET /about' } },
      ],
    },
    {
      title: 'Take the files that are dropped into a folder, and delete each when its events are safe',
      yaml: '- name: input_file\n  tag: drop\n  watch_path: "{dir}/in"\n  path_pattern: "*.csv"\n  remove: true\n  once: true\n  encoding: latin1\n',
      files: { 'in/a.csv': '1;one\r\n2;two' },
      out: [
        { tag: 'drop', record: { log: '1;one' } },
        { tag: 'drop', record: { log: '2;two' } },
      ],
    },
  ],
  lint(params) {
    const message = lintPaths(searchOf(params), { mayBeEmpty: params.remove })
    if (message === undefined) return []
    return [{ path: [params.watch_path === undefined ? 'path_pattern' : 'watch_path'], message }]
  },
  create(params, { clock, log, deadLetter }) {
    const encoding = textEncoding(params.encoding) ?? unknownEncoding(params.encoding)
    return {
      run: (run) =>
        tail(
          {
            ...searchOf(params),
            fromEnd: params.from === 'end',
            once: params.once,
            remove: params.remove,
            removeAfter: params.remove_after,
            rotateWait: params.rotate_wait,
            refreshInterval: params.refresh_interval,
            idleTimeout: params.idle_timeout,
            maxOpenFiles: params.max_open_files,
            maxRemembered,
            lines: {
              tag: params.tag,
              pathKey: params.path_key,
              encoding,
              maxLine: params.max_line,
              clock,
              deadLetter,
            },
            clock,
            log,
          },
          run,
        ),
    }
  },
})

/** Where files are looked for, and which are taken. */
function searchOf(params: { path_pattern: string; watch_path?: string | undefined }): Search {
  // What begins with a wildcard takes any folder, once it is told which one to search.
  const anywhere = params.watch_path !== undefined && params.path_pattern.startsWith('*')
  const path = anywhere ? params.path_pattern : resolve(params.path_pattern)
  const wildcard = path.search(/[*?[]/)
  const literal = wildcard === -1 ? path : path.slice(0, wildcard + 1)
  return {
    matches: compileMatch(path),
    root: resolve(params.watch_path ?? dirname(literal)),
    // Without a wildcard there is one folder to look at, however much lies below it.
    deep: wildcard !== -1 || params.watch_path !== undefined,
  }
}

function unknownEncoding(label: string): never {
  throw new RangeError(`there is no encoding ${label}`)
}
