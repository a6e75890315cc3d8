// Gives events another tag, which may be built from their fields.
import { z } from 'zod'
import { defineAction } from '../../core/action.ts'
import type { Event } from '../../core/event.ts'
import { compileField } from '../../core/field.ts'
import { matchParam, noStateParam, tagParam } from '../../core/params.ts'

/** Characters of a tag, at most. */
const maxTagLength = 1024

export const filterRetag = defineAction({
  kind: 'filter',
  name: 'filter_retag',
  summary: 'Changes the tag of events.',
  details: `In \`tag\`, \`{field}\` stands for the value of a field (a dotted path) that holds text, a number or a boolean, and \`{tag}\`
for the tag the event has had, unless the record has such a field named \`tag\`. A field that the record does not have stays as it is
written, braces and all.

What comes from a record is not trusted: control characters become \`_\`, a tag is cut after 1024 characters, and an empty one
becomes \`_\`. Only the actions that stand after this one see the new tag.`,
  params: z.strictObject({
    match: matchParam,
    tag: tagParam.describe('The new tag; `{field}` in it is replaced by the value of that field.'),
    db_path: noStateParam,
  }),
  examples: [
    {
      title: 'A new tag',
      yaml: '- name: filter_retag\n  match: "*"\n  tag: web\n',
      in: [{ tag: 'app', timestamp: 1600000000, record: { code: 200 } }],
      out: [{ tag: 'web', timestamp: 1600000000, record: { code: 200 } }],
    },
    {
      title: 'A tag from fields and the old tag',
      yaml: "- name: filter_retag\n  tag: '{tag}.{http.code}.{none}'\n",
      in: [{ tag: 'web', timestamp: 1600000000, record: { http: { code: 404 } } }],
      out: [{ tag: 'web.404.{none}', timestamp: 1600000000, record: { http: { code: 404 } } }],
    },
  ],
  create({ tag }) {
    const build = compileTag(tag)
    return {
      apply(event, emit) {
        event.tag = typeof build === 'string' ? build : build(event)
        emit(event)
      },
    }
  },
})

type BuildTag = (event: Event) => string

/** A tag without fields stays a string. */
function compileTag(template: string): string | BuildTag {
  const parts: (string | BuildTag)[] = template
    .split(/(\{[^{}]+\})/)
    .filter((part) => part !== '')
    .map((part) => (/^\{[^{}]+\}$/.test(part) ? compilePart(part) : part))
  if (!parts.some((part) => typeof part === 'function')) return template
  return (event) => {
    let tag = ''
    for (const part of parts) tag += typeof part === 'string' ? part : part(event)
    return cleanTag(tag)
  }
}

function compilePart(placeholder: string): BuildTag {
  const path = placeholder.slice(1, -1)
  const field = compileField(path)
  return (event) => {
    const value = field.get(event.record)
    switch (typeof value) {
      case 'string':
        // A long text costs no more than the tag may hold.
        return value.length > maxTagLength ? value.slice(0, maxTagLength) : value
      case 'number':
      case 'boolean':
      case 'bigint':
        return String(value)
      default:
        return path === 'tag' ? event.tag : placeholder
    }
  }
}

function cleanTag(tag: string): string {
  if (tag === '') return '_'
  const cut = tag.length > maxTagLength ? tag.slice(0, maxTagLength).replace(/[\ud800-\udbff]$/, '') : tag
  return cut.replace(/[\u0000-\u001f\u007f-\u009f]/g, '_')
}
