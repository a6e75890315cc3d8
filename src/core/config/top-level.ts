// The keys at the top of a configuration file: their validator and, by their descriptions, their documentation.
import { isIP } from 'node:net'
import { z } from 'zod'
import { isLoopback } from '../loopback.ts'
import { testsParam } from './tests.ts'

const globs = z.union([z.string().min(1), z.array(z.string().min(1)).min(1)])

const states = z
  .strictObject({
    ip: z
      .string()
      .refine((ip) => ip === 'localhost' || isIP(ip) !== 0, 'this is not an IP address')
      .default('127.0.0.1')
      .describe('The address to listen on. Other than loopback it needs a `token`.'),
    port: z.int().min(0).max(65_535).default(4321).describe('The TCP port; 0 takes any that is free.'),
    token: z
      .string()
      .min(1)
      .optional()
      .describe('What a request has to show as `Authorization: Bearer <token>`. Take it from the environment.'),
  })
  .superRefine(({ ip, token }, context) => {
    if (token !== undefined || isLoopback(ip) || isIP(ip) === 0) return
    context.addIssue({
      code: 'custom',
      path: ['ip'],
      message: `${ip} can be reached from other machines, which needs a token`,
      params: { hint: 'add a `token` beside it, or listen on 127.0.0.1' },
    })
  })

export const topLevel = z.strictObject({
  pipelines: z
    .record(z.string().min(1), z.array(z.unknown()).min(1))
    .optional()
    .describe('The pipelines by name. Each is a list of actions, which events pass from the first to the last.'),
  variables: z
    .record(z.string().regex(/^[^{}\n]+$/, 'the name of a variable holds no braces'), z.unknown())
    .default({})
    .describe(
      'Values to use in others: `{name}` in a text is replaced, and `"{name}"` alone takes the value with its type.',
    ),
  include: globs
    .optional()
    .describe(
      'Files with one pipeline each, as a glob or a list of globs (`*`, `?`, `[abc]`, `**` for any folders) relative to this file. Each holds a list of actions and gives its name to the pipeline.',
    ),
  privileges: z
    .strictObject({
      user: z.string().min(1).describe('The user to become.'),
      group: z.string().min(1).describe('The group to become.'),
    })
    .optional()
    .describe('Whom the process turns into, when started as root, once its sockets are bound and its files are open.'),
  states: states
    .optional()
    .describe('The HTTP server with counters, metrics and health. Without this key there is none.'),
  plugins: z
    .array(z.string().min(1))
    .default([])
    .describe('Modules that add actions: a file (`./mine.js`) relative to this one, or an installed package.'),
  dead_letters: z
    .string()
    .min(1)
    .optional()
    .describe(
      'A file that takes, as JSON lines, every event that could not be handled; relative to the working directory. Without it, the log warns at most once a minute and action.',
    ),
  state_dir: z
    .string()
    .min(1)
    .optional()
    .describe(
      'A folder for state that outlives the process, one file a pipeline: what rules remember, how far inputs and outputs are, saved in one transaction at every commit. It is relative to the working directory, and is made when it is missing. Without it, only actions with a `db_path` remember anything.',
    ),
  fsync: z
    .enum(['always', 'commit', 'never'])
    .default('commit')
    .describe(
      'What a power cut may undo; a killed process loses nothing that was saved, whatever stands here. `commit`: a commit to `state_dir` is flushed to the disk before inputs are answered; the files of `db_path`, saved once a second, are left to the system and may be some seconds older after a power cut, but whole. `always`: those are flushed too. `never`: nothing is flushed; a power cut may undo the last commits or damage a file, which is then set aside.',
    ),
  shutdown_timeout: z
    .number()
    .positive()
    .max(86_400)
    .default(30)
    .describe('Seconds to write what is in hand after SIGTERM before the process gives up.'),
  tests: testsParam,
})

export type TopLevel = z.output<typeof topLevel>

/** What every action takes beside its own parameters. */
export const actionKeys = z.strictObject({
  name: z.string().min(1).describe('Which action it is.'),
  label: z.string().min(1).optional().describe('What logs and counters call it, if not by its name.'),
})
