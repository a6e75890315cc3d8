// The lines that the cases read: made once from a seed, kept in the system's temporary folder, the same on every machine.
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { framesFile, writeForward } from './forward-data.ts'
import { lineWith, wordList } from './matching-data.ts'
import { hex, int, levels, messages, pick, type Random, seeded, users, words } from './random.ts'

/** `forward` is no log, but requests of the forward protocol. */
export type DataKind = 'apache' | 'json' | 'words' | 'keys' | 'forward'

/** Changes when the generators do, so that old files are not taken for new ones. */
const version = 1
/** Words of the longest list. */
const maxWords = 100_000
/** Lines made before they are written. */
const blockLines = 10_000
/** Unix seconds of the first line. */
const firstTime = 1_700_000_000

/** The folder that holds the data and what the cases write. */
export function benchFolder(): string {
  const folder = join(tmpdir(), 'feedoo-bench')
  mkdirSync(folder, { recursive: true })
  return folder
}

/** Path of a file of `lines` lines, each ended by a newline (or events). It is made unless it is there in its whole size. */
export function dataFile(kind: DataKind, lines: number): string {
  const path = join(benchFolder(), `${kind}-${lines}-v${version}.log`)
  const sizeFile = `${path}.size`
  if (existsSync(path) && existsSync(sizeFile) && readFileSync(sizeFile, 'utf8') === String(statSync(path).size)) {
    return path
  }
  const half = `${path}.${process.pid}.part`
  if (kind === 'forward') writeFileSync(framesFile(path), JSON.stringify(writeForward(half, lines)))
  else generate(kind, lines, half)
  renameSync(half, path)
  writeFileSync(sizeFile, String(statSync(path).size))
  return path
}

/** Path of a file of the first `count` words of a list, one a line. */
export function wordsFile(count: number): string {
  const path = join(benchFolder(), `words-${count}-v${version}.txt`)
  writeFileSync(path, wordList(maxWords).slice(0, count).join('\n'))
  return path
}

function generate(kind: 'apache' | 'json' | 'words' | 'keys', lines: number, path: string): void {
  const line = { apache: apacheLine, json: jsonLine, words: wordsLine(), keys: keysLine }[kind]
  const random = seeded({ apache: 1, json: 2, words: 3, keys: 4 }[kind])
  const file = openSync(path, 'w')
  try {
    for (let start = 0; start < lines; start += blockLines) {
      let block = ''
      for (let i = start; i < Math.min(lines, start + blockLines); i++) block += `${line(i, random)}\n`
      writeSync(file, block)
    }
  } finally {
    closeSync(file)
  }
}

/** Lines of 130 characters. Of those with a word, a third has one of the first 10, a third one of the first 1,000. */
function wordsLine(): (index: number, random: Random) => string {
  const words = wordList(maxWords)
  const lists = [words.slice(0, 10), words.slice(0, 1000), words]
  return (index, random) => lineWith(random, lists[index % lists.length] ?? words)
}

/** Apache's combined log: 130 to 240 characters a line. */
function apacheLine(index: number, random: Random): string {
  const host = `${int(random, 1, 223)}.${int(random, 0, 255)}.${int(random, 0, 255)}.${int(random, 1, 254)}`
  const user = random() < 0.1 ? pick(random, users) : '-'
  const time = apacheTime(firstTime + Math.floor(index / 50))
  const query = random() < 0.3 ? `?id=${int(random, 1, 99_999)}&page=${int(random, 1, 40)}` : ''
  const path = `/${pick(random, words)}/${pick(random, words)}/${int(random, 1, 9999)}${query}`
  const size = random() < 0.05 ? '-' : String(int(random, 90, 250_000))
  const referer = random() < 0.4 ? '-' : `https://www.example.org/${pick(random, words)}/${int(random, 1, 500)}`
  const request = `${pick(random, methods)} ${path} HTTP/1.1`
  return `${host} - ${user} [${time}] "${request}" ${pick(random, statuses)} ${size} "${referer}" "${pick(random, agents)}"`
}

/** An application's log as JSON: eight fields, one of them an object. */
function jsonLine(index: number, random: Random): string {
  return JSON.stringify({
    time: new Date((firstTime + index / 50) * 1000).toISOString(),
    level: pick(random, levels),
    service: pick(random, words),
    // One line in a thousand is not ASCII.
    message: `${pick(random, messages)} ${int(random, 1, 1_000_000)}${random() < 0.001 ? ' (größer als erwartet)' : ''}`,
    duration_ms: int(random, 0, 900_000) / 1000,
    ok: random() < 0.97,
    user: { id: int(random, 1, 50_000), name: pick(random, users) },
    trace: hex(random, 16),
  })
}

/** What rules count: a time, a user of 100,000, an address that no other line of a million has, a state. */
function keysLine(index: number, random: Random): string {
  // A step that has no factor in common with a million passes each number once.
  const address = (index * 7919) % 1_000_000
  return JSON.stringify({
    time: firstTime + index / 50,
    user: `user-${int(random, 1, 100_000)}`,
    from: `10.${address >> 16}.${(address >> 8) & 255}.${address & 255}`,
    state: pick(random, states),
    message: pick(random, messages),
  })
}

/** `14/Nov/2023:22:13:20 +0000` */
function apacheTime(seconds: number): string {
  const [day, date, month, year, clock] = new Date(seconds * 1000).toUTCString().split(' ')
  return day === undefined ? '' : `${date}/${month}/${year}:${clock} +0000`
}

const states = ['up', 'up', 'up', 'up', 'up', 'up', 'up', 'up', 'up', 'down']
const methods = ['GET', 'GET', 'GET', 'GET', 'POST', 'HEAD', 'PUT']
const statuses = ['200', '200', '200', '200', '304', '301', '404', '403', '500']
const agents = [
  'Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0',
  'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/126.0',
  'Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) Mobile/15E148',
  'curl/8.5.0',
  'python-requests/2.32.3',
  'Googlebot/2.1 (+http://www.google.com/bot.html)',
]
