// Warns about actions that no event can ever reach: worked out from the tags of the inputs, where they are known.
import { z } from 'zod'
import { compileMatch } from '../tag.ts'
import type { CheckedAction } from './actions.ts'
import { didYouMean } from './nearest.ts'
import type { Reporter } from './reporter.ts'
import { treeAt } from './tree.ts'

/** `builtIn` tells the actions whose doings are known: a plugin may give events any tag. */
export function warnOfUnreachable(
  actions: readonly CheckedAction[],
  builtIn: (name: string) => boolean,
  reporter: Reporter,
): void {
  const tags = new Set<string>()
  for (const { tree, spec, config } of actions) {
    // What an action with mistakes would do is not known.
    if (spec === undefined || config === undefined) return
    if (spec.kind === 'input') {
      const tag = builtIn(spec.name) ? literalTag(spec.params, config.params) : undefined
      if (tag === undefined) return
      tags.add(tag)
      continue
    }
    const match = matchOf(config.params.match)
    if (match === undefined) return
    const reachable = [...tags].some(compileMatch(match))
    if (!reachable) {
      const at = treeAt(tree, ['match'])?.at ?? tree.entries.get('name')?.value.at ?? tree.at
      const near = [match].flat().flatMap((glob) => didYouMean(glob, tags) ?? [])
      const list = [...tags].map((tag) => `"${tag}"`).join(', ')
      if (tags.size === 0) reporter.warn(at, `no event can reach ${spec.name}: no input stands before it`)
      else reporter.warn(at, `no event can reach ${spec.name}: the tags here are ${list}`, near[0])
    } else if (!builtIn(spec.name) || changesTags(spec.params)) {
      return
    }
  }
}

/** The one tag that an input gives all of its events, or undefined when it may give others. */
function literalTag(schema: z.ZodObject, params: Record<string, unknown>): string | undefined {
  const { tag } = params
  const others = Object.keys(schema.shape).some((key) => key !== 'tag' && key.includes('tag'))
  const required = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }).required?.includes('tag')
  return typeof tag === 'string' && !tag.includes('{') && !others && required ? tag : undefined
}

function matchOf(match: unknown): string | string[] | undefined {
  if (match === undefined) return '*'
  if (typeof match === 'string') return match
  return Array.isArray(match) && match.every((glob) => typeof glob === 'string') ? match : undefined
}

/** Filters that give events a tag say so by a parameter. */
function changesTags(schema: z.ZodObject): boolean {
  return Object.keys(schema.shape).some((key) => key.includes('tag'))
}
