// What the guides write in YAML is right, and what they draw of the rules is what these do.
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { builtinActions } from '../../src/cli/load.ts'
import { testCommand } from '../../src/cli/test.ts'
import { loadConfig } from '../../src/core/config/load.ts'
import { loadActions } from '../../src/core/registry.ts'
import { scratchFolder } from '../helpers/daemon.ts'

const guides = fileURLToPath(new URL('../../docs/guide', import.meta.url))

interface Block {
  page: string
  /** Of the line behind the fence. */
  line: number
  yaml: string
}

/** Keys at the top of a configuration that pages show alone, but for `include` and `plugins`, which need other files. */
const topLevel = /^(?:state_dir|dead_letters|states|privileges|fsync):/

async function yamlBlocks(): Promise<Block[]> {
  const pages = (await readdir(guides, { recursive: true })).filter((page) => page.endsWith('.md')).sort()
  const blocks: Block[] = []
  for (const page of pages) {
    const text = await readFile(join(guides, page), 'utf8')
    for (const { index, 1: yaml = '' } of text.matchAll(/^```yaml[^\n]*\n([\s\S]*?)^```/gm)) {
      blocks.push({ page, line: text.slice(0, index).split('\n').length + 1, yaml })
    }
  }
  return blocks
}

/** A whole configuration with the block in it; undefined for what is no configuration of feedoo's. */
function configurationOf(yaml: string): string | undefined {
  if (/^pipelines:/m.test(yaml)) return yaml
  if (yaml.startsWith('- name:')) return pipelineOf(yaml)
  return topLevel.test(yaml) ? `${yaml}\n${pipelineOf('')}` : undefined
}

function pipelineOf(actions: string): string {
  const list = `- { name: input_dummy, tag: any, data: {} }\n${actions}`
  return `pipelines:\n  page:\n${list.replace(/^(?=.)/gm, '    ')}\n`
}

const blocks = await yamlBlocks()
const configurations = blocks.flatMap(({ page, line, yaml }) => {
  // Plugins are loaded by a daemon: writing-an-action.test.ts does that.
  const whole = yaml.startsWith('plugins:') ? undefined : configurationOf(yaml)
  return whole === undefined ? [] : [{ at: `${page}:${line}`, whole }]
})

describe('a configuration of a guide has no mistake', () => {
  test.each(configurations)('$at', async ({ whole }) => {
    const folder = await scratchFolder()
    await mkdir(join(folder, 'lists'))
    await writeFile(join(folder, 'lists/domains.txt'), 'evil.example\n')
    await writeFile(join(folder, 'page.yaml'), whole.replaceAll('/etc/feedoo/lists', join(folder, 'lists')))
    const { diagnostics } = await loadConfig(join(folder, 'page.yaml'), {
      env: { FORWARD_KEY: 'k', WEB_1_PASSWORD: 'p', FEEDOO_TOKEN: '0123456789abcdef' },
      loadRegistry: (plugins) => loadActions([builtinActions, ...plugins]),
    })
    // Logs and certificates of the pages are not on this machine, and rules on a page stand without what feeds them.
    const mistakes = diagnostics.filter(
      ({ severity, message }) =>
        severity === 'error' && !/cannot read \/etc\/feedoo\/\S+: there is no such/.test(message),
    )
    expect(mistakes.map(({ line, message }) => `${line}: ${message}`)).toEqual([])
  })

  test('each page with a rule is among them', () => {
    const pages = new Set(configurations.map(({ at }) => at.split(':')[0]))
    for (const rule of ['frequency', 'change', 'spike', 'flatline', 'dnsbl', 'matching-list', 'README']) {
      expect(pages).toContain(`alert-rules/${rule}.md`)
    }
  })
})

describe('what a page draws is what the rule does', () => {
  test.each<[string, string, string]>([
    [
      'frequency',
      'sshd.failed',
      `    events: [${[0, 10, 20, 50, 60, 70, 100, 130].map((at) => `{ at: ${at}, record: { address: a } }`).join(', ')}]
    alerts: [{ at: 20, record: { num_events: 3, timeframe: 60 } }, { at: 70 }]`,
    ],
    [
      'flatline',
      'heartbeat',
      `    events: [{ record: { host: web }, repeat: 3, every: 60 }, { record: { host: web }, at: 330, repeat: 5, every: 60 }]
    alerts:
      - { at: 210, record: { status: firing, number_of_event: 0, threshold: 1 } }
      - { at: 300, record: { status: firing } }
      - { at: 420, record: { status: resolved } }`,
    ],
    [
      'change',
      'vpn.login',
      `    events:
      - { record: { user: eve, country: DE }, repeat: 2, every: 60 }
      - { record: { user: eve, country: BR }, after: 60, repeat: 2, every: 60 }
      - { record: { user: eve, country: DE }, after: 14401 }
    alerts: [{ at: 120, record: { old_value: DE, new_value: BR } }]`,
    ],
    [
      'spike',
      'dns.query',
      `    events:
      - { record: { client: c }, repeat: 6, every: 120 }
      - { record: { client: c }, at: 640, repeat: 15, every: 40 }
    alerts: [{ at: 1200, record: { spike_height: 3, spike_type: up, current: 15, reference: 5 } }]`,
    ],
    [
      'matching-list',
      'proxy',
      `    events: [{ record: { url: "http://cdn.evil.example/a.js?ref=bad.example" } }]
    alerts: [{ record: { found: "evil.example,bad.example", mode: present, key: url } }]`,
    ],
    [
      'dnsbl',
      'mail.connect',
      `    dns: { 9.113.0.203.bl.example.org: [127.0.0.2], 9.113.0.203.dnsbl.example.net: [127.0.0.2] }
    events: [{ record: { client: 203.0.113.9 } }]
    alerts: [{ record: { value: 203.0.113.9, percent: 66.67, domains: [bl.example.org, dnsbl.example.net] } }]`,
    ],
    [
      'README',
      'sshd',
      `    events:
      - { log: "{time:%Y-%m-%dT%H:%M:%SZ} web sshd[8]: Failed password for invalid user eve from 203.0.113.9 port 5 ssh2", repeat: 7, every: 9 }
    alerts: [{ at: 36, record: { rule: brute force, message: "5 failed logins from 203.0.113.9 within 60 s, the last as eve" } }]`,
    ],
  ])('%s', async (page, tag, steps) => {
    const folder = await scratchFolder()
    await writeFile(join(folder, 'domains.txt'), 'evil.example\nbad.example\n')
    const block = blocks.find((one) => one.page === `alert-rules/${page}.md`)
    const whole = configurationOf(block?.yaml ?? '')?.replaceAll('/etc/feedoo/lists', folder)
    const file = join(folder, 'page.yaml')
    await writeFile(file, `${whole}\ntests:\n  - name: drawing\n    tag: ${tag}\n${steps}\n`)
    let printed = ''
    const write = (text: string) => {
      printed += text
    }
    const code = await testCommand({ file }, write, write)
    expect(printed).toMatch(/^ok {4}/)
    expect(code).toBe(0)
  })
})
